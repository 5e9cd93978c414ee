// Short names for the document's parts.

export const find = (selector, within = document) => within.querySelector(selector);

// An element with attributes (those that begin with "on" are listeners) and children.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
