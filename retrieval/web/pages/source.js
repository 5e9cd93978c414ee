// What is asked about: {item}, {upload} or {path}, as the API names it.

import { api } from "./api.js";
import { fileBeside, fileName, itemName, workLabel } from "./names.js";
import { clock } from "./switcher/state.js";
import { dotted } from "./wording.js";

const KINDS = ["item", "upload", "path"];

// In an address: `?item=ID`, `?upload=ID` or `?path=FILE`; null where there is none.
export function sourceIn(parts) {
  const kind = KINDS.find((name) => parts.get(name));
  return kind ? { [kind]: parts.get(kind) } : null;
}

// As one word, for addresses that name two: the id of an item, `upload:ID` or `path:FILE`.
export function sourceWord(source) {
  return source.item ?? (source.upload ? `upload:${source.upload}` : `path:${source.path}`);
}

export function sourceOfWord(word) {
  const [, kind, rest] = /^(upload|path):(.*)$/s.exec(word) ?? [null, "item", word];
  return { [kind]: rest };
}

// What it is: {source, title, file, kind, about, duration}; `file` is its name.
export async function described(source) {
  if (source.item) {
    const item = await api(`/v1/items/${encodeURIComponent(source.item)}`);
    const { path, kind, artist, work, duration } = item;
    return { source, title: itemName(item), file: fileName(path), kind, about: [artist, workLabel(work)], duration };
  }
  if (source.upload) return describedUpload(await api(`/v1/uploads/${encodeURIComponent(source.upload)}`));
  const file = await api(`/v1/files?${new URLSearchParams({ path: source.path })}`);
  return { source, title: itemName(file), file: fileName(file.path), kind: file.kind, about: [] };
}

export function describedUpload({ id, name, kind, duration }) {
  return { source: { upload: id }, title: itemName({ path: name }), file: name, kind, about: [], duration };
}

// What is told of it beside its title, in a line.
export function beside({ title, file, about: known, duration }) {
  return dotted(duration !== undefined && clock(duration), ...known, fileBeside(title, file));
}

// What is wrong with it, told with its name.
export function about(name, error) {
  if (error.kind === "unusable-file") error.message = `“${name}”: ${error.message}`;
  return error;
}
