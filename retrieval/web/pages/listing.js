// Which part of a long list a page shows: what its address says, and what the API is asked for.

export const PER_PAGE = 50;

// The words of an address that are among `defaults`, which says what each is where it is not told.
export function listingOf(search, defaults) {
  const told = new URLSearchParams(search);
  const page = Number.parseInt(told.get("page"), 10);
  const words = Object.entries(defaults).map(([name, usual]) => [name, told.get(name) ?? usual]);
  return { ...Object.fromEntries(words), page: page > 0 && page < 1e7 ? page : 1 };
}

// The address's search of a listing: only what is not as usual.
export function searchOf({ page, ...words }, defaults) {
  const parts = new URLSearchParams(Object.entries(words).filter(([name, value]) => value !== defaults[name]));
  if (page > 1) parts.set("page", page);
  const text = parts.toString();
  return text && `?${text}`;
}

// What the API is asked for, without what is empty.
export function asked({ page, ...words }) {
  const parts = new URLSearchParams(Object.entries(words).filter(([, value]) => value !== ""));
  if (page > 1) parts.set("offset", (page - 1) * PER_PAGE);
  parts.set("limit", PER_PAGE);
  return parts.toString();
}

export function pagesIn(total) {
  return Math.max(1, Math.ceil(total / PER_PAGE));
}

// First and last number of a page that holds `shown`, counted from 1.
export function spanOf(page, shown) {
  const first = (page - 1) * PER_PAGE + 1;
  return [first, first + shown - 1];
}
