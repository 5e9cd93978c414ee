// What files, items and works are called.

export function fileName(path) {
  return path.slice(path.lastIndexOf("/") + 1) || path;
}

export function folderOf(path) {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

// A file's suffix with its dot, in lower case; empty where it has none.
export function suffixOf(path) {
  return (/[^.](\.[^.]+)$/.exec(fileName(path))?.[1] ?? "").toLowerCase();
}

// The title of an item, or its file's name without its suffix where it has none.
export function itemName({ title, path }) {
  const name = fileName(path);
  return title || name.slice(0, name.length - suffixOf(path).length);
}

// Who plays or wrote it; where that is not known, its file with the folder that it lies in.
export function itemCredit({ artist, path }) {
  return artist || `${fileName(folderOf(path))}/${fileName(path)}`;
}

// The name of its file, where its title is another.
export function fileBeside(title, file) {
  return itemName({ path: file }) === title ? "" : file;
}

// What several are called so that they can be told apart: by their titles, or by their files where titles are alike.
export function apart(several) {
  const alike = new Set(several.map(({ title }) => title)).size < several.length;
  return several.map((one) => ({ ...one, title: alike ? one.file : one.title }));
}

// A work's name; for one that has none, what most of its items are called, or the first.
export function workName({ name, recordings, scores }) {
  if (name) return name;
  const items = [...recordings, ...scores];
  const titled = items.filter(({ title }) => title);
  const times = new Map();
  for (const title of (titled.length ? titled : items).map(itemName)) times.set(title, (times.get(title) ?? 0) + 1);
  return [...times].sort((a, b) => b[1] - a[1])[0]?.[0] ?? "Empty work";
}

// What a work is called; nothing where it has only an id.
export function workLabel(work) {
  return /^w[0-9a-f]{12}$/.test(work ?? "") ? "" : (work ?? "");
}
