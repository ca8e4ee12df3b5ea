// What is wrong, in words; and what the process has told last.

const state = {
  plan: null,     // of the graph, told once
  now: null,      // newest message
  events: [],
  heard: null,    // performance.now() of the newest message
};

// Seconds after which a tier's process, which tells once a second, is said to be silent.
const SILENT = 5;

const STATES = plain({
  running: ["●", "ok"], starting: ["◌", "warn"], draining: ["◐", "warn"], stopped: ["■", "bad"],
  down: ["✕", "bad"], unknown: ["?", "warn"], elsewhere: ["↗", "away"],
});
const LEVELS = plain({ error: ["✕", "bad"], warning: ["▲", "warn"], info: ["·", "plain"] });

function stateOf(node, told) {
  if (told) return told.state || "unknown";
  return node && node.runs_here ? "unknown" : "elsewhere";
}

// Sign and word: what is told by colour is told by these as well.
function stateWord(word) {
  const [sign, kind] = STATES[word] || STATES.unknown;
  return make("span", { class: `state ${kind}` }, make("span", { "aria-hidden": "true" }, sign), ` ${word}`);
}

// One that has not answered since it was tried last, though it may be about to be tried again.
const fails = (upstream) => !upstream.healthy || upstream.failures > 0;

const children = (name) => state.plan.nodes.filter((each) =>
  each.upstream.includes(name)).map((each) => each.name).concat(
  (state.plan.nodes.find((each) => each.name === name) || { push: [] }).push);

// Those whom a tier serves, tiers that pull from it not among them.
function audience(name) {
  const told = state.now.tiers[name];
  if (!told) return 0;
  const pulled = children(name).map((each) => (state.now.tiers[each] || {}).upstream_connections || 0);
  return Math.max(0, (told.viewers || 0) - pulled.reduce((one, other) => one + other, 0));
}

function troubles() {
  const found = [];
  for (const [name, told] of Object.entries(state.now.tiers)) {
    if (told.state !== "running") found.push({ grave: told.state !== "starting" && told.state !== "draining",
      words: [named(name), ` is ${told.state || "unknown"}`] });
    if (told.state === "down") continue;
    const ago = (state.now.processes[name] || {}).told_ago;
    if (ago > SILENT) found.push({ grave: true, words: [named(name), `: its process has told nothing for ${span(ago)}`] });
    for (const each of told.upstreams || [])
      if (fails(each)) found.push({ grave: true, words: [named(name), ": upstream ", named(each.name),
        ` fails${each.reason ? ` (${each.reason})` : ""}`] });
    for (const each of told.streams || [])
      if (!each.on_air && each.viewers > 0) found.push({ grave: false, words: [named(name), ": ", named(each.name),
        ` is off air${each.source === "off_air" ? ", a clip is shown" : ""}, and ${count(each.viewers)} wait`] });
    if (told.chopped > 0) found.push({ grave: true, words: [named(name),
      `: ${count(told.chopped)} of ${count(told.viewers)} viewers ${told.chopped === 1 ? "is" : "are"} chopped`] });
  }
  return found;
}

function verdict() {
  const place = document.getElementById("verdict");
  const found = troubles();
  const tiers = Object.keys(state.now.tiers);
  const viewers = tiers.reduce((sum, each) => sum + audience(each), 0);
  const bits = tiers.reduce((sum, each) => sum + (state.now.tiers[each].bits || 0), 0);
  const words = found.length === 0
    ? [tiers.length === 1 ? "The one tier runs, " : `All ${tiers.length} tiers run, `, "no viewer is chopped."]
    : found.flatMap((each, index) => [...(index ? [" · "] : []), ...each.words]);
  const kind = found.some((each) => each.grave) ? "bad" : found.length ? "warn" : "ok";
  const fresh = make("p", {}, make("span", { "aria-hidden": "true" }, kind === "ok" ? "✓ " : "▲ "), ...words);
  place.className = kind;
  if (place.textContent !== fresh.textContent) place.replaceChildren(...fresh.childNodes);
  document.title = `${kind === "ok" ? "✓" : "▲"} ${count(viewers)} viewers, ${rate(bits)} – tierkit`;
  say(document.getElementById("as-of"), time(state.now.at));
}

function eventList(events, caption) {
  if (!events.length) return make("p", { class: "word" }, "None so far.");
  return make("ol", { class: "events", "aria-label": caption }, ...events.slice().reverse().map((each) => {
    const [sign, kind] = LEVELS[each.level] || LEVELS.info;
    return make("li", { class: kind }, make("time", { datetime: new Date(each.at * 1000).toISOString() }, time(each.at)),
      make("span", { class: "sign", title: each.level }, sign),
      make("span", {}, ...(each.tier ? [make("a", { href: link("tier", each.tier) }, named(each.tier)), " "] : []),
        make("bdi", {}, withoutTier(each)), each.times > 1 ? ` (${count(each.times)} times)` : null));
  }));
}

// The tier stands before it as a link already.
function withoutTier({ tier, text }) {
  if (!tier || !text.startsWith(tier)) return text;
  return [": ", " "].reduce((found, each) => (found === text && text.startsWith(tier + each) ? text.slice((tier + each).length) : found), text);
}

// Half a pair of surrogates is in no address.
const whole = (name) => name.replace(/[\ud800-\udfff]/gu, "\ufffd");
const link = (kind, ...names) => `#/${[kind, ...names.map(whole)].map(encodeURIComponent).join("/")}`;
