// A chart of several series over time: stacked areas or lines, as SVG, with a legend that tells the figures and a table
// on demand.  Series differ by colour, by pattern and by their names at the right edge.

let charts = 0;
const PATTERNS = [
  null,
  "M-2,2l4,-4M0,8l8,-8M6,10l4,-4",
  "M1,4a1,1 0 1,0 2,0a1,1 0 1,0 -2,0M5,0a1,1 0 1,0 2,0a1,1 0 1,0 -2,0",
  "M0,4h8",
  "M-2,6l4,4M0,0l8,8M6,-2l4,4",
  "M4,0v8",
  "M0,0l8,8M8,0l-8,8",
];
const COLOURS = PATTERNS.length;

// Steps of 1, 2 or 5 times a power of ten: at most `most` of them.
function ticks(top, most = 4) {
  const rough = top / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999);
  const found = [];
  for (let at = 0; at < top + step * 0.999; at += step) found.push(at);
  return found;
}

const TIMES = [5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

class Chart {
  // `words` puts a figure into words; `stacked` puts series on top of each other; `filled` fills what is below the first.
  constructor({ title, words, stacked = false, filled = true, top = 0 }) {
    this.id = `chart${(charts += 1)}`;
    Object.assign(this, { title, words, stacked, filled, top, at: null, data: null });
    this.total = make("output", { class: "total" });
    this.svg = make("svg:svg", { role: "img", tabindex: "0", "aria-describedby": `${this.id}-keys` });
    this.legend = make("ul", { class: "legend" });
    this.rows = make("details", {}, make("summary", {}, "As a table"), make("div"));
    this.spoken = make("p", { class: "hidden", "aria-live": "polite" });
    this.element = make("figure", { class: "chart" },
      make("figcaption", {}, make("h3", {}, title), this.total), this.svg, this.legend, this.rows, this.spoken,
      make("p", { class: "hidden", id: `${this.id}-keys` }, "Left and right look at other moments."));
    this.svg.addEventListener("pointermove", (event) => this.look(this.indexAt(event)));
    this.svg.addEventListener("pointerleave", () => this.look(null));
    this.svg.addEventListener("blur", () => this.look(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.rows.addEventListener("toggle", () => this.fill());
    this.seen = new ResizeObserver(() => this.draw());
    this.seen.observe(this.svg);
  }

  // data: {from, step, points, series: [[name, [values]]]}
  set(data) {
    if (this.data && this.at !== null) this.at -= Math.round((data.from - this.data.from) / data.step);
    this.data = data;
    if (this.at !== null && (this.at < 0 || this.at >= data.points)) this.at = null;
    this.draw();
    this.fill();
  }

  moment(index) {
    return this.data.from + index * this.data.step;
  }

  sum(index) {
    const known = this.data.series.map(([, values]) => values[index]).filter(Number.isFinite);
    return known.length ? known.reduce((one, other) => one + other, 0) : null;
  }

  draw() {
    const width = this.svg.clientWidth, height = this.svg.clientHeight;
    if (!this.data || !width) return;
    const { series, points } = this.data;
    let top = this.top;
    for (let index = 0; index < points; index += 1)
      top = Math.max(top, this.stacked ? this.sum(index) : Math.max(0, ...series.map(([, values]) => values[index] ?? 0)));
    const marks = ticks(top || 1, height < 150 ? 3 : 4);
    const labels = marks.map((each) => (each ? short(this.words(each)) : "0"));
    const left = 10 + 7 * Math.max(...labels.map((each) => each.length));
    const box = { left, top: 8, right: width - 10, bottom: height - 22, most: marks[marks.length - 1] || 1 };
    this.box = box;
    this.x = (index) => (points < 2 ? box.right : box.left + ((box.right - box.left) * index) / (points - 1));
    this.y = (value) => box.bottom - ((box.bottom - box.top) * value) / box.most;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.replaceChildren(this.patterns(), ...this.frame(marks, labels), ...this.shapes(), ...this.cursor());
    this.tell();
  }

  patterns() {
    return make("svg:defs", {}, ...PATTERNS.map((path, index) => path && make("svg:pattern",
      { id: `${this.id}-p${index}`, width: 8, height: 8, patternUnits: "userSpaceOnUse" },
      make("svg:path", { d: path, class: "pattern" }))).filter(Boolean));
  }

  frame(marks, labels) {
    const { box } = this;
    const found = marks.flatMap((each, index) => [
      make("svg:line", { class: "grid", x1: box.left, x2: box.right, y1: this.y(each), y2: this.y(each) }),
      make("svg:text", { class: "tick", x: box.left - 6, y: this.y(each) + 4, "text-anchor": "end" }, labels[index])]);
    const { from, step, points } = this.data;
    const until = from + (points - 1) * step;
    const most = Math.max(2, Math.floor((box.right - box.left) / 90));
    const every = TIMES.find((each) => (until - from) / each <= most) || 86400;
    const zone = new Date(from * 1000).getTimezoneOffset() * 60;
    for (let at = Math.ceil((from - zone) / every) * every + zone; at <= until; at += every) {
      const x = this.x((at - from) / step);
      if (x < box.left + 18 || x > box.right - 18) continue;
      found.push(make("svg:line", { class: "grid", x1: x, x2: x, y1: box.bottom, y2: box.bottom + 4 }),
        make("svg:text", { class: "tick", x, y: box.bottom + 17, "text-anchor": "middle" }, time(at, every < 60)));
    }
    return found;
  }

  // Where something is known, as runs of indices: an area does not bridge what is not.
  runs(known) {
    const found = [];
    for (let index = 0; index < this.data.points; index += 1) {
      if (!known(index)) continue;
      const last = found[found.length - 1];
      if (last && last[1] === index - 1) last[1] = index;
      else found.push([index, index]);
    }
    return found;
  }

  shapes() {
    const found = [];
    const below = new Array(this.data.points).fill(0);
    this.data.series.forEach(([name, values], order) => {
      const colour = order % COLOURS;
      const known = this.stacked ? (index) => this.sum(index) !== null : (index) => Number.isFinite(values[index]);
      let area = "", line = "";
      for (const [first, last] of this.runs(known)) {
        const over = [], under = [];
        for (let index = first; index <= last; index += 1) {
          const base = this.stacked ? below[index] : 0;
          const x = this.x(index).toFixed(1);
          over.push(`${x},${this.y(base + (values[index] || 0)).toFixed(1)}`);
          under.unshift(`${x},${this.y(base).toFixed(1)}`);
        }
        // One point alone would be nothing: it is drawn as a short bar.
        if (over.length === 1) over.push(`${(this.x(first) + 1).toFixed(1)},${over[0].split(",")[1]}`);
        area += `M${over.join("L")}L${under.join("L")}Z`;
        line += `M${over.join("L")}`;
      }
      if (this.stacked) values.forEach((each, index) => { below[index] += each || 0; });
      if (this.stacked || (this.filled && order === 0)) {
        found.push(make("svg:path", { class: `area c${colour}`, d: area, "data-series": name }));
        if (PATTERNS[colour]) found.push(make("svg:path", { d: area, fill: `url(#${this.id}-p${colour})` }));
      }
      // Of nothing a stacked line would be a second edge of what is below it.
      if (this.stacked && !values.some((each) => each > 0)) return;
      found.push(make("svg:path", { class: `line c${colour} ${this.stacked ? "thin" : `d${colour}`}`, d: line }));
    });
    return found;
  }

  cursor() {
    if (this.at === null) return [];
    const x = this.x(this.at);
    return [make("svg:line", { class: "cursor", x1: x, x2: x, y1: this.box.top, y2: this.box.bottom })];
  }

  // The figures of the moment that is looked at, by default the newest.
  tell() {
    const { series, points } = this.data;
    const at = this.at ?? points - 1;
    const sum = points ? this.sum(at) : null;
    const when = this.at === null ? "now" : `at ${time(this.moment(at), this.data.step < 60)}`;
    const one = this.stacked || series.length === 1;
    say(this.total, one ? `${when} ${this.words(sum)}` : this.at === null ? "" : when);
    if (this.legend.childElementCount !== series.length || series.some(([name], order) =>
      this.legend.children[order].querySelector(".name").textContent !== name))
      this.legend.replaceChildren(...series.map(([name], order) => make("li", {}, this.swatch(order % COLOURS),
        named(name), " ", make("span", { class: "figure" }))));
    series.forEach(([, values], order) =>
      say(this.legend.children[order].querySelector(".figure"), this.words(points ? values[at] : null)));
    this.svg.setAttribute("aria-label", `${this.title}, ${when}: ${series.map(([name, values]) =>
      `${name} ${this.words(points ? values[at] : null)}`).join(", ") || "nothing yet"}`);
  }

  swatch(colour) {
    if (!this.stacked && (!this.filled || colour))
      return make("svg:svg", { class: "swatch", viewBox: "0 0 16 12", "aria-hidden": "true" },
        make("svg:path", { class: `line c${colour} d${colour}`, d: "M0,6H16" }));
    return make("svg:svg", { class: "swatch", viewBox: "0 0 16 12", "aria-hidden": "true" },
      make("svg:rect", { class: `area c${colour}`, width: 16, height: 12 }),
      PATTERNS[colour] && make("svg:rect", { fill: `url(#${this.id}-p${colour})`, width: 16, height: 12 }));
  }

  indexAt(event) {
    if (!this.box || !this.data.points) return null;
    const x = event.clientX - this.svg.getBoundingClientRect().left;
    const index = Math.round(((x - this.box.left) / (this.box.right - this.box.left)) * (this.data.points - 1));
    return Math.min(Math.max(index, 0), this.data.points - 1);
  }

  look(index) {
    if (this.at === index || !this.box) return;
    this.at = index;
    this.svg.querySelector(".cursor")?.remove();
    this.svg.append(...this.cursor());
    this.tell();
  }

  key(event) {
    const last = this.data ? this.data.points - 1 : -1;
    const pace = event.shiftKey ? 10 : 1;
    const at = this.at ?? last;
    const next = { ArrowLeft: at - pace, ArrowRight: at + pace, Home: 0, End: last }[event.key];
    if (event.key === "Escape") this.look(null);
    else if (next === undefined || last < 0) return;
    else this.look(Math.min(Math.max(next, 0), last));
    event.preventDefault();
    say(this.spoken, this.svg.getAttribute("aria-label"));
  }

  fill() {
    if (!this.rows.open || !this.data) return;
    const { series, points } = this.data;
    const pace = Math.max(1, Math.ceil(points / 12));
    const rows = [];
    for (let index = points - 1; index >= 0; index -= pace)
      rows.push([time(this.moment(index)), ...series.map(([, values]) => this.words(values[index])),
        ...(this.stacked ? [this.words(this.sum(index))] : [])]);
    const heads = ["time", ...series.map(([name]) => named(name)), ...(this.stacked ? ["all"] : [])];
    this.rows.lastElementChild.replaceChildren(table(this.title, heads, rows));
  }

  close() {
    this.seen.disconnect();
  }
}
