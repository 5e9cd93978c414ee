// The engraved score: its pages, and which measure and notes sound.
//
// Pages live in a shadow tree, so that their ids and styles are their own.

const AHEAD = 0.05; // seconds by which a page is turned and a measure marked early, so that the eye is not late

// The rows [start, end, ...], sorted by start, that hold these seconds.
export function rowsAt(rows, seconds, longest) {
  let [low, high] = [0, rows.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle][0] <= seconds) low = middle + 1;
    else high = middle;
  }
  const found = [];
  for (let index = low - 1; index >= 0 && rows[index][0] > seconds - longest; index -= 1) {
    if (rows[index][1] > seconds) found.push(rows[index]);
  }
  return found;
}

// Of the times at which a measure is played, the one nearest to a place; null where it is never played.
export function nearestPlaying(measures, id, seconds) {
  const far = ([start, end]) => Math.max(start - seconds, seconds - end, 0);
  return measures.filter((row) => row[2] === id).sort((a, b) => far(a) - far(b))[0] ?? null;
}

export function longestOf(rows) {
  return rows.reduce((most, [start, end]) => Math.max(most, end - start), 0);
}

export class ScoreView {
  // read: gives the text of a page by its number from 1; choose: called with the id of a measure that is clicked.
  constructor(host, score, { read, choose, turned, failed }) {
    Object.assign(this, { score, read, turned, failed });
    this.root = host.attachShadow({ mode: "open" });
    this.scroller = host;
    this.page = 0;
    this.lit = new Set();
    this.measure = null;
    this.longest = [longestOf(score.measures), longestOf(score.notes)];
    this.root.addEventListener("click", (event) => {
      const measure = event.target.closest?.("g.measure");
      if (measure) choose(measure.id);
    });
  }

  async show(page) {
    if (page === this.page || page < 1 || page > this.score.pages.length) return;
    this.page = page;
    this.turned(page);
    try {
      const text = await this.read(this.score.pages[page - 1]);
      if (page !== this.page) return;
      const styles = []; // taken out: the page's policy forbids style elements that it does not name
      const plain = text.replace(/<style\b[^>]*>([^]*?)<\/style>/g, (_, style) => {
        styles.push(style);
        return "";
      });
      const parsed = new DOMParser().parseFromString(plain, "image/svg+xml").documentElement;
      for (const unwanted of parsed.querySelectorAll("script, foreignObject")) unwanted.remove();
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(`${styles.join("\n")}\n${STYLE}`);
      this.root.adoptedStyleSheets = [sheet];
      this.root.replaceChildren(document.importNode(parsed, true));
      this.scroller.scrollTop = 0;
      this.light(this.lit, true);
      if (this.follows && this.measure) this.reveal(this.measure);
    } catch (error) {
      this.failed(error);
    }
  }

  // Mark what sounds at a place of the timeline; turn to its page if asked to follow.
  place(seconds, follow) {
    const [measure] = rowsAt(this.score.measures, seconds + AHEAD, this.longest[0]);
    const ids = new Set(rowsAt(this.score.notes, seconds, this.longest[1]).map((row) => row[2]));
    if (measure) ids.add(measure[2]);
    this.light(ids, false);
    const moved = measure && measure[2] !== this.measure;
    this.measure = measure?.[2] ?? this.measure;
    this.follows = follow;
    if (follow || !this.page) this.show(measure?.[3] ?? (this.page || 1));
    if (moved && follow) this.reveal(this.measure);
  }

  light(ids, anew) {
    for (const id of this.lit) if (!ids.has(id)) this.root.getElementById(id)?.classList.remove("sounding");
    for (const id of ids) if (anew || !this.lit.has(id)) this.root.getElementById(id)?.classList.add("sounding");
    this.lit = ids;
  }

  // Scroll the system of a measure into the middle.
  reveal(id) {
    const system = this.root.getElementById(id)?.closest("g.system");
    if (!system) return;
    const [box, frame] = [system.getBoundingClientRect(), this.scroller.getBoundingClientRect()];
    if (box.top >= frame.top && box.bottom <= frame.bottom) return;
    const space = Math.max((frame.height - box.height) / 2, 0);
    this.scroller.scrollBy({ top: box.top - frame.top - space, behavior: "auto" });
  }
}

const STYLE = `
:host > svg { display: block; width: 100%; height: auto; }
svg { color: var(--ink); fill: var(--ink); }
g.measure { cursor: pointer; pointer-events: bounding-box; }
g.measure:hover { opacity: 0.75; }
g.measure.sounding { color: var(--accent); fill: var(--accent); }
g.note.sounding { color: var(--head); fill: var(--head); }
`;
