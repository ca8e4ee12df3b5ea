// The first page: the graph, the two graphs of traffic, the streams, and what has happened.

const NO_SITE = "no site";

class Home {
  constructor() {
    this.graph = new GraphView(state.plan);
    this.types = new Chart({ title: "Traffic by type", words: rate, stacked: true, top: 1e5 });
    this.sites = new Chart({ title: "Traffic by site", words: rate, stacked: true, top: 1e5 });
    this.streams = make("div");
    this.events = make("div");
    this.table = make("div");
    this.past = new Past("", (data) => this.show(data));
    const details = make("details", { class: "all" }, make("summary", {}, "The tiers as a table"), this.table);
    this.element = make("div", { class: "page" },
      make("h1", { class: "hidden" }, "The graph now"),
      make("section", { "aria-labelledby": "h-graph" }, make("h2", { id: "h-graph" }, "Graph"), this.graph.element, details),
      make("section", { "aria-labelledby": "h-traffic" },
        make("div", { class: "bar" }, make("h2", { id: "h-traffic" }, "Traffic"), rangeSwitch(() => this.past.load())),
        make("div", { class: "charts" }, this.types.element, this.sites.element)),
      make("section", { "aria-labelledby": "h-streams" }, make("h2", { id: "h-streams" }, "Streams"), this.streams),
      make("section", { "aria-labelledby": "h-events" }, make("h2", { id: "h-events" }, "Events"), this.events));
  }

  show(data) {
    const sorted = (series, words = (each) => each) => Object.keys(series).sort().map((each) => [words(each), series[each]]);
    this.types.set(charted(data, sorted(data.type)));
    this.sites.set(charted(data, sorted(data.site, (each) => each || NO_SITE)));
  }

  update() {
    this.graph.update();
    this.past.tick(state.now);
    renew(this.streams, streamTable(Object.keys(state.now.tiers), "Streams, most viewers first", 12));
    renew(this.table, tierTable());
  }

  tell() {
    renew(this.events, eventList(state.events, "Latest events"));
  }

  close() {
    [this.graph, this.types, this.sites, this.past].forEach((each) => each.close());
  }
}

// Puts `fresh` in place of what a box holds where that says something else; the focus stays where it is.
function renew(box, fresh) {
  const old = box.firstElementChild;
  if (old && old.isEqualNode(fresh)) return;
  const links = old ? [...old.querySelectorAll("a, [tabindex]")] : [];
  const focused = old === document.activeElement ? -1 : links.indexOf(document.activeElement);
  const had = old === document.activeElement;
  const scrolled = old ? old.scrollLeft : 0;
  box.replaceChildren(fresh);
  fresh.scrollLeft = scrolled;
  if (had) fresh.focus({ preventScroll: true });
  else if (focused >= 0) [...fresh.querySelectorAll("a, [tabindex]")][focused]?.focus({ preventScroll: true });
}

function streamTable(tiers, caption, most = Infinity) {
  const all = tiers.flatMap((tier) => (state.now.tiers[tier].streams || []).map((each) => ({ tier, ...each })));
  if (!all.length) return make("p", { class: "word" }, "No stream yet.");
  // By viewers; what has as many stays in its order, so that rows do not jump.
  all.sort((one, other) => (other.viewers || 0) - (one.viewers || 0));
  const left = all.length - most + tiers.reduce((sum, each) => sum + (state.now.tiers[each].more_streams || 0), 0);
  const rows = all.slice(0, most).map((each) => [
    make("a", { href: link("stream", each.tier, each.name) }, named(each.name)), count(each.viewers), rate(each.bits),
    airWord(each), named(each.tier)]);
  const found = table(caption, ["stream", "viewers", "sent", "state", "tier"], rows);
  if (left > 0 && most < Infinity) found.append(make("p", { class: "word" }, `and ${count(left)} more: see each tier`));
  return found;
}

function airWord(stream) {
  const away = stream.source === "off_air";
  if (stream.on_air) return make("span", { class: "state ok" }, make("span", { "aria-hidden": "true" }, "●"), " on air");
  return make("span", { class: "state warn" }, make("span", { "aria-hidden": "true" }, "◌"), away ? " off air: a clip is shown" : " off air");
}

function tierTable() {
  const rows = state.plan.nodes.map((node) => {
    const told = state.now.tiers[node.name];
    return [make("a", { href: link("tier", node.name) }, named(node.name)), node.role, node.site || NONE,
      stateWord(stateOf(node, told)), ...(told ? [count(told.viewers), count(told.chopped), rate(told.bits),
        rate(told.upstream_bits), share(told.hit_ratio ?? NaN), count(told.connections)] : [NONE, NONE, NONE, NONE, NONE, NONE])];
  });
  return table("Tiers", ["tier", "role", "site", "state", "viewers", "chopped", "sends", "pulls", "hit ratio", "connections"], rows);
}
