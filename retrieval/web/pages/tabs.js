// Tabs by the ARIA pattern: arrow keys go from one to the next.

import { element } from "./switcher/elements.js";

// Fills a tablist with [name, text] each; `chosen` is called with a name. Gives {panels, choose(name), note(name, text)}.
export function tabs(list, names, chosen) {
  const found = new Map(names.map(([name, text]) => [name, made(name, text)]));
  const choose = (name) => {
    for (const [other, { tab, panel }] of found) {
      tab.setAttribute("aria-selected", other === name);
      tab.tabIndex = other === name ? 0 : -1;
      panel.hidden = other !== name;
    }
    chosen(name);
  };
  const order = [...found.keys()];
  list.onkeydown = ({ key }) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (!step) return;
    const at = order.findIndex((name) => found.get(name).tab === document.activeElement);
    const next = order[(at + step + order.length) % order.length];
    choose(next);
    found.get(next).tab.focus();
  };
  list.replaceChildren(...[...found.values()].map(({ tab }) => tab));
  for (const [name, { tab }] of found) tab.addEventListener("click", () => choose(name));
  return {
    choose,
    panels: new Map([...found].map(([name, { panel }]) => [name, panel])),
    note: (name, text) => (found.get(name).note.textContent = text),
  };
}

function made(name, text) {
  const note = element("span", { class: "count" });
  const tab = element("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}` }, text, note);
  return { tab, note, panel: element("div", { role: "tabpanel", id: `panel-${name}`, "aria-labelledby": `tab-${name}`, tabindex: "0" }) };
}
