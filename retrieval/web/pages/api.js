// The server's API: who asks, what is asked, and long work with its progress.
//
// The start page's address brings the token in its fragment. It is kept in this browser for the server's origin,
// and taken out of the address. Where the server is not on this machine, a cookie is fetched with it for what
// can send no header: sound and events.

const KEPT = "incipit-token";
const NO_TOKEN = "Open the address that `incipit serve` printed: only that page may change or ask something.";
const GONE = "The server does not answer. Is `incipit serve` still running?";

let token = taken();
let session = null;

addEventListener("hashchange", () => {
  [token, session] = [taken() ?? token, null];
});

// What the server says went wrong.
export class Problem extends Error {
  constructor({ detail, title, type, status }) {
    super(detail || title || `the server answered ${status}`);
    Object.assign(this, { status, kind: String(type ?? "").split(":").at(-1) });
  }
}

function taken() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const brought = parts.get("token");
  try {
    if (!brought) return localStorage.getItem(KEPT);
    localStorage.setItem(KEPT, brought);
  } catch {
    // Without storage it lasts as long as the page.
  }
  parts.delete("token");
  const rest = parts.toString();
  history.replaceState(null, "", location.pathname + location.search + (rest && `#${rest}`));
  return brought;
}

// A cookie to read with, fetched once.
function opened() {
  session ??= token ? ask("/v1/session", { method: "POST" }).catch(() => {}) : Promise.resolve();
  return session;
}

function ask(path, { method = "GET", json, body, signal } = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (json !== undefined) headers["Content-Type"] = "application/json";
  return fetch(path, { method, headers, signal, body: json === undefined ? body : JSON.stringify(json) });
}

// What the API answers: a document, or null where it has none. `json` is sent as the body, `body` as it is.
export async function api(path, options = {}) {
  const answer = await answered(path, options);
  return answer.status === 204 ? null : answer.json();
}

// What it answers where that is no document: the response, whose body is still to be read.
export async function answered(path, options = {}) {
  const answer = await ask(path, options).catch((error) => {
    if (error.name === "AbortError") throw error;
    throw new Problem({ detail: GONE, status: 0 });
  });
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => ({}));
  throw refused(told, answer.status);
}

function refused(told, status) {
  return new Problem({ ...told, detail: status === 401 ? NO_TOKEN : told.detail, status });
}

// Start a job, tell how it goes, and give its result. An aborted `signal` cancels it.
export async function job(request, progress = () => {}, signal) {
  return follow(await api("/v1/jobs", { method: "POST", json: request }), progress, signal);
}

// Tell how a job goes that was started, by its status, and give its result. An aborted `signal` cancels it.
export async function follow(started, progress = () => {}, signal) {
  const cancel = () => api(`/v1/jobs/${started.id}`, { method: "DELETE" }).catch(() => {});
  signal?.addEventListener("abort", cancel, { once: true });
  if (signal?.aborted) cancel();
  const ended = await watch(started, progress).finally(() => signal?.removeEventListener("abort", cancel));
  if (ended.state === "done") return api(ended.result);
  if (ended.state === "cancelled") throw new DOMException("cancelled", "AbortError");
  throw new Problem(ended.problem ?? { detail: `the job is ${ended.state}` });
}

// Tell how a job goes until it has ended; gives its last status.
export async function watch(status, progress) {
  await opened();
  progress(status);
  return new Promise((resolve, reject) => {
    const events = new EventSource(`/v1/jobs/${status.id}/events`);
    events.addEventListener("progress", (event) => progress(JSON.parse(event.data)));
    events.addEventListener("end", (event) => {
      events.close();
      const last = JSON.parse(event.data);
      progress(last);
      resolve(last);
    });
    events.onerror = () => {
      if (events.readyState !== EventSource.CLOSED) return; // the browser tries again
      reject(new Problem({ detail: GONE, status: 0 }));
    };
  });
}

// Where the file of a score is; ready to be asked for when the promise is kept.
export async function fileOf(id) {
  await opened();
  return `/v1/items/${encodeURIComponent(id)}/score`;
}

// Send a file to ask for; `progress` is told the part that has gone. Gives what the server made of it.
export function upload(file, name, progress = () => {}, signal) {
  const request = new XMLHttpRequest(); // fetch does not tell how much has gone
  const sent = new Promise((resolve, reject) => {
    request.onload = () => {
      const told = request.response ?? {};
      if (request.status < 300) resolve(told);
      else reject(refused(told, request.status));
    };
    request.onerror = () => reject(new Problem({ detail: "The file did not reach the server.", status: 0 }));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
  });
  request.upload.onprogress = ({ loaded, total }) => progress(total ? loaded / total : 0);
  request.open("POST", `/v1/uploads?${new URLSearchParams({ name })}`);
  request.responseType = "json";
  if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
  signal?.addEventListener("abort", () => request.abort(), { once: true });
  request.send(file);
  return sent;
}

// Where the sound of an {item}, {upload} or {path} is; ready to be asked for when the promise is kept.
export async function soundOf({ item, upload: sent, path }) {
  await opened();
  if (path) return `/v1/files/audio?${new URLSearchParams({ path })}`;
  return item ? `/v1/items/${encodeURIComponent(item)}/audio` : `/v1/uploads/${encodeURIComponent(sent)}/audio`;
}
