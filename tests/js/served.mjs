// Modules of the server's pages, which find those of the switcher where the server has them.

import { register } from "node:module";

const switcher = new URL("../../alignment/switcher/", import.meta.url);
const hook = `export function resolve(name, context, next) {
  const [, rest] = /^[.]\\/switcher\\/(.*)/.exec(name) ?? [];
  return next(rest ? new URL(rest, ${JSON.stringify(switcher.href)}).href : name, context);
}`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);

export function served(name) {
  return import(new URL(`../../retrieval/web/pages/${name}`, import.meta.url));
}
