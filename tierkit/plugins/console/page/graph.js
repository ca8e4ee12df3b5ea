// The graph: cards in columns, by how far they are from where streams come from, and in rows by site; beneath them the
// links, as wide as what goes over them.  Where there is no room for columns everything stands in one, and the links run
// in a gutter at its left.

// How far each node is from where streams come from; a plan has no cycles, but what is told may be anything.
function depths(nodes) {
  const feeds = new Map(nodes.map((each) => [each.name, []]));
  for (const node of nodes) {
    for (const name of node.upstream) feeds.get(node.name).push(name);
    for (const name of node.push) if (feeds.has(name)) feeds.get(name).push(node.name);
  }
  const found = new Map();
  const deep = (name, above) => {
    if (found.has(name)) return found.get(name);
    if (above.has(name) || !feeds.has(name)) return 0;
    const depth = Math.max(-1, ...feeds.get(name).map((each) => deep(each, new Set([...above, name])))) + 1;
    found.set(name, depth);
    return depth;
  };
  for (const node of nodes) deep(node.name, new Set());
  // Whoever feeds nobody stands last, before the viewers: so the way to them passes behind no other card.
  const last = Math.max(0, ...found.values());
  const feeding = new Set([...feeds.values()].flat());
  for (const node of nodes) if (!feeding.has(node.name)) found.set(node.name, last);
  return found;
}

// Each pair that media flows between: from, to, and whether it is one of several to choose from.
function links(nodes) {
  return nodes.flatMap((node) => [
    ...node.upstream.map((name) => ({ from: name, to: node.name, policy: node.policy, of: node.upstream })),
    ...node.push.map((name) => ({ from: node.name, to: name, pushed: true, of: [node.name] })),
  ]);
}

const VIEWERS = "\u0000viewers";

class GraphView {
  constructor(plan) {
    this.nodes = plan.nodes;
    this.depth = depths(this.nodes);
    this.links = links(this.nodes);
    const fed = new Set(this.links.map((each) => each.from));
    // Tiers that no other stands behind lead to the viewers.
    for (const node of this.nodes) if (!fed.has(node.name) && node.host !== null)
      this.links.push({ from: node.name, to: VIEWERS });
    this.cards = new Map();
    this.svg = make("svg:svg", { class: "links", "aria-hidden": "true" });
    this.element = make("div", { class: "graph" }, this.svg);
    this.place();
    this.seen = new ResizeObserver(() => this.draw());
    this.seen.observe(this.element);
  }

  place() {
    const columns = Math.max(0, ...this.depth.values()) + 1;
    const sited = (node) => node.site || "";
    const sites = [...new Set(this.nodes.map(sited).filter(Boolean))];
    const column = (depth) => this.nodes.filter((each) => this.depth.get(each.name) === depth);
    // A column of which nothing stands in a site is centred beside them all.
    const rows = [...sites];
    if (!sites.length || this.nodes.some((each) => !each.site && column(this.depth.get(each.name)).some(sited))) rows.push("");
    this.element.style.setProperty("--columns", columns + 1);
    const reach = (site) => this.nodes.filter((each) => sited(each) === site).map((each) => this.depth.get(each.name));
    sites.forEach((site, row) => this.element.append(make("div", { class: "site", "data-row": row + 1,
      "data-column": `${Math.min(...reach(site)) + 1} / ${Math.max(...reach(site)) + 2}` },
      make("h3", {}, make("span", { class: "word" }, "site "), named(site)))));
    for (let depth = 0; depth < columns; depth += 1) {
      const all = column(depth);
      const whole = sites.length > 0 && !all.some(sited);
      for (const [row, site] of whole ? [[0, ""]] : rows.map((site, row) => [row + 1, site])) {
        const here = all.filter((each) => sited(each) === site);
        if (here.length) this.element.append(this.cell(depth + 1, row, here.map((each) => this.card(each))));
      }
    }
    const viewers = make("div", { class: "card viewers" }, make("strong", {}, "Viewers"), make("b", { class: "figure big" }, NONE),
      make("span", { class: "chopped" }));
    this.cards.set(VIEWERS, { element: viewers });
    this.element.append(this.cell(columns + 1, 0, [viewers]));
    for (const each of this.element.querySelectorAll("[data-row]")) {
      // By script, because a style attribute would need leave in the policy.
      const row = Number(each.dataset.row);
      each.style.gridRow = row ? String(row) : `1 / span ${Math.max(1, rows.length)}`;
      each.style.gridColumn = each.dataset.column;
    }
  }

  cell(columnNumber, row, cards) {
    return make("div", { class: "cell", "data-row": row, "data-column": columnNumber }, ...cards);
  }

  card(node) {
    const away = !node.runs_here;
    const part = {
      state: make("span", { class: "where" }), viewers: make("b", { class: "figure" }), sent: make("b", { class: "figure" }),
      hits: make("b", { class: "figure" }), chopped: make("span", { class: "chopped" }), trouble: make("span", { class: "trouble" }),
      pulls: make("b", { class: "figure" }),
    };
    const serves = [...node.serves, ...(node.speaks ? [node.speaks] : [])].map((each) => each.plugin).join(" + ");
    const own = this.links.some((each) => each.from === node.name && each.to !== VIEWERS);
    const figure = (word, element, kind) => make("span", { class: `pair ${kind}` }, make("span", { class: "word" }, word), " ", element);
    const figures = away ? [make("span", { class: "word" }, node.host === null ? "a server elsewhere" : `runs on ${node.host}`)]
      : [figure(own ? "clients" : "viewers", part.viewers, "count"), figure("sends", part.sent, "sent"),
        figure("hits", part.hits, "hits"), figure("pulls", part.pulls, "pulls")];
    const element = make("a", { class: `card ${away ? "away" : ""}`, href: link("tier", node.name), "data-tier": node.name },
      make("span", { class: "top" }, named(node.name), " ", part.state),
      make("span", { class: "word kind" }, `${node.role} ${serves}`, make("span", { class: "in" }, node.site ? ` in ${node.site}` : "")),
      make("span", { class: "figures" }, ...figures), part.chopped, part.trouble);
    this.cards.set(node.name, { element, part, node });
    return element;
  }

  update() {
    for (const [name, { element, part, node }] of this.cards) {
      if (!part) continue;
      const told = state.now.tiers[name];
      const word = stateOf(node, told);
      if (part.state.textContent.trim().slice(2) !== word) part.state.replaceChildren(stateWord(word));
      if (!told) continue;
      say(part.viewers, count(told.viewers));
      say(part.sent, rate(told.bits));
      say(part.hits, share(told.hit_ratio));
      part.hits.parentElement.hidden = told.hit_ratio === null;
      say(part.pulls, rate(told.upstream_bits));
      part.pulls.parentElement.hidden = !(told.upstreams || []).length;
      say(part.chopped, told.chopped > 0 ? `▲ ${count(told.chopped)} chopped` : "");
      const bad = (told.upstreams || []).filter(fails);
      say(part.trouble, bad.map((each) => `▲ ${each.name} fails`).join(" "));
      element.classList.toggle("bad", bad.length > 0 || told.chopped > 0 || STATES[word]?.[1] === "bad");
    }
    const tiers = Object.keys(state.now.tiers);
    const viewers = this.cards.get(VIEWERS).element;
    say(viewers.querySelector(".big"), count(tiers.reduce((sum, each) => sum + audience(each), 0)));
    const chopped = tiers.reduce((sum, each) => sum + (state.now.tiers[each].chopped || 0), 0);
    say(viewers.querySelector(".chopped"), chopped ? `▲ ${count(chopped)} chopped` : "none chopped");
    viewers.classList.toggle("bad", chopped > 0);
    this.draw();
  }

  // What goes over a link, bit/s, and how it fares.
  flow(each) {
    const told = state.now.tiers;
    if (each.to === VIEWERS) return { bits: (told[each.from] || {}).bits || 0, known: each.from in told };
    if (each.pushed) return { bits: (told[each.to] || {}).bits_in || 0, known: each.to in told };
    const tier = told[each.to];
    if (!tier) return { bits: 0, known: false };
    const health = (name) => !(tier.upstreams || []).some((one) => one.name === name && fails(one));
    const healthy = each.of.filter(health);
    // Which of several was asked nobody counts: in order it is the first that answers, by hash all alike.
    const all = tier.upstream_bits || 0;
    const bits = each.policy === "hash" && healthy.length ? all / healthy.length : each.from === healthy[0] ? all : 0;
    return { bits: health(each.from) ? bits : 0, known: true, fails: !health(each.from) };
  }

  draw() {
    if (!state.now) return;
    const frame = this.element.getBoundingClientRect();
    const stacked = getComputedStyle(this.element).getPropertyValue("--stacked").trim() === "1";
    const flows = this.links.map((each) => this.flow(each));
    const most = Math.max(1e5, ...flows.map((each) => each.bits));
    const box = (name) => {
      const found = this.cards.get(name).element.getBoundingClientRect();
      return { left: found.left - frame.left, right: found.right - frame.left, middle: (found.top + found.bottom) / 2 - frame.top };
    };
    this.svg.setAttribute("viewBox", `0 0 ${frame.width} ${frame.height}`);
    // In one column the ways to the viewers would cross all others: each card says what it sends.
    const lanes = [...new Set(this.links.filter((each) => !stacked || each.to !== VIEWERS).map((each) => each.from))];
    this.element.style.setProperty("--lanes", lanes.length);
    const words = [];
    const paths = this.links.flatMap((each, index) => {
      if (!this.cards.has(each.from) || !this.cards.has(each.to) || (stacked && each.to === VIEWERS)) return [];
      const { bits, known, fails } = flows[index];
      const part = Math.sqrt(bits / most);
      const kind = fails ? "fails" : !known ? "unknown" : bits < 1 ? "idle" : part > 0.66 ? "high" : part > 0.33 ? "middle" : "low";
      const width = bits < 1 ? 1.5 : 2 + part * (stacked ? 5 : 10);
      const from = box(each.from), to = box(each.to);
      const path = stacked ? this.elbow(from, to, lanes.indexOf(each.from)) : this.curve(from, to);
      const shown = make("svg:path", { class: `link ${kind}`, d: path, "data-link": `${each.from} ${each.to}` });
      shown.style.strokeWidth = `${width.toFixed(1)}px`;
      if (!stacked && each.to !== VIEWERS && known) words.push(make("svg:text", { class: `flow ${kind}`, x: to.left - 8, y: to.middle + (from.middle < to.middle - 8 ? width / 2 + 15 : -width / 2 - 5),
        "text-anchor": "end" },
        fails ? "✕ fails" : rate(bits)));
      return [shown];
    });
    this.svg.replaceChildren(...paths, ...words);
  }

  curve(from, to) {
    const half = (to.left - from.right) / 2;
    return `M${from.right},${from.middle}C${from.right + half},${from.middle} ${to.left - half},${to.middle} ${to.left},${to.middle}`;
  }

  elbow(from, to, lane) {
    const x = Math.min(from.left, to.left) - 10 - 9 * lane;
    return `M${from.left},${from.middle + 6}H${x}V${to.middle - 6}H${to.left}`;
  }

  close() {
    this.seen.disconnect();
  }
}
