// Elements, and figures as words.  Whatever comes from the process becomes text nodes and attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function make(kind, attributes = {}, ...children) {
  const svg = kind.startsWith("svg:");
  const found = svg ? document.createElementNS(SVG, kind.slice(4)) : document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) found.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) found.setAttribute(name, value);
  }
  found.append(...children.filter((each) => each !== null && each !== undefined));
  return found;
}

// Names are keys of what is told: objects without a prototype know no `constructor` but one that somebody named so.
const plain = (entries) => Object.assign(Object.create(null), entries);
const parse = (text) => JSON.parse(text, (_, value) =>
  (value && typeof value === "object" && !Array.isArray(value) ? plain(value) : value));

// Only what has changed is touched: screen readers and selections stay where they are.
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A name that somebody else chose: isolated, so that right-to-left letters do not turn the words around it.
function named(text) {
  return make("bdi", { class: "name" }, text);
}

const NONE = "–";
const digits = (value, most) =>
  value.toLocaleString("en", { maximumFractionDigits: most, minimumFractionDigits: most });

function count(value) {
  return Number.isFinite(value) ? Math.round(value).toLocaleString("en") : NONE;
}

function rate(bits) {
  if (!Number.isFinite(bits)) return NONE;
  if (bits >= 999.5e6) return `${digits(bits / 1e9, 2)} Gbit/s`;
  if (bits >= 99.95e6) return `${digits(bits / 1e6, 0)} Mbit/s`;
  if (bits >= 999.5e3) return `${digits(bits / 1e6, 1)} Mbit/s`;
  if (bits < 50) return "0 Mbit/s";
  return `${digits(bits / 1e3, bits < 1e4 ? 1 : 0)} kbit/s`;
}

function bytes(value) {
  if (!Number.isFinite(value)) return NONE;
  if (value >= 1e9) return `${digits(value / 1e9, 2)} GB`;
  if (value >= 1e6) return `${digits(value / 1e6, value < 1e7 ? 1 : 0)} MB`;
  return `${digits(value / 1e3, value < 1e4 ? 1 : 0)} kB`;
}

function share(value) {
  return Number.isFinite(value) ? `${digits(value * 100, value > 0.9995 || value < 0.0005 ? 0 : 1)} %` : NONE;
}

function span(seconds) {
  if (!Number.isFinite(seconds)) return NONE;
  const whole = Math.floor(seconds);
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.floor(whole / 60)} min`;
  if (whole < 172800) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

// What stands at an axis: round figures need no zeros behind them.
const short = (words) => words.replace(/(\.\d*?)0+(?= )/, "$1").replace(/\.(?= )/, "");

const two = (value) => String(value).padStart(2, "0");

function time(unix, seconds = true) {
  const at = new Date(unix * 1000);
  return `${two(at.getHours())}:${two(at.getMinutes())}${seconds ? `:${two(at.getSeconds())}` : ""}`;
}

// A real table; rows are lists of texts and elements, the first cell of each is its head.
function table(caption, heads, rows, attributes = {}) {
  const head = make("tr", {}, ...heads.map((each) => make("th", { scope: "col" }, each)));
  const body = rows.map(([first, ...rest]) =>
    make("tr", {}, make("th", { scope: "row" }, first), ...rest.map((each) => make("td", {}, each))));
  const found = make("table", attributes, make("caption", { class: "hidden" }, caption), make("thead", {}, head),
    make("tbody", {}, ...body));
  return make("div", { class: "wide", role: "region", "aria-label": caption, tabindex: "0" }, found);
}
