// A page for each tier and for each of its streams.

function figures(pairs) {
  return make("dl", { class: "facts" }, ...pairs.map(([word, value]) =>
    make("div", { class: value.className === "long" && "span" }, make("dt", {}, word), make("dd", {}, value))));
}

function counts(caption, head, told, words = count) {
  const rows = Object.entries(told || {}).filter(([, value]) => value).sort((one, other) => other[1] - one[1]);
  return rows.length ? table(caption, [head, caption.toLowerCase()], rows.map(([name, value]) => [name, words(value)]))
    : make("p", { class: "word" }, "None.");
}

function upstreamTable(told) {
  const rows = (told.upstreams || []).map((each) => [
    make("a", { href: link("tier", each.name) }, named(each.name)),
    make("span", { class: `state ${fails(each) ? "bad" : "ok"}` },
      make("span", { "aria-hidden": "true" }, fails(each) ? "✕" : "●"), fails(each) ? " fails" : " healthy"),
    count(each.failures), count(each.failures_total), make("bdi", {}, each.reason || NONE)]);
  return rows.length ? table("Upstreams", ["upstream", "health", "failures in a row", "in all", "last reason"], rows)
    : make("p", { class: "word" }, "It pulls from nobody.");
}

function section(title, ...content) {
  const id = `h-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return make("section", { "aria-labelledby": id }, make("h2", { id }, title), ...content);
}

class Detail {
  // What both pages have: a head, charts over one range, boxes that are made anew each second.
  constructor(tier, title, back, charts, boxes) {
    Object.assign(this, { name: tier, charts, boxes: Object.fromEntries(boxes.map((each) => [each, make("div")])) });
    this.node = state.plan.nodes.find((each) => each.name === tier);
    this.facts = make("div");
    this.past = new Past(tier, (data) => this.show(data));
    this.element = make("div", { class: "page" },
      make("nav", { "aria-label": "Where this is" }, ...back),
      make("h1", { tabindex: "-1" }, ...title), this.facts,
      make("section", { "aria-labelledby": "h-series" },
        make("div", { class: "bar" }, make("h2", { id: "h-series" }, "Over time"), rangeSwitch(() => this.past.load())),
        make("div", { class: "charts" }, ...Object.values(charts).map((each) => each.element))),
      make("div", { class: "boxes" }, ...boxes.map((each) => section(each, this.boxes[each]))));
  }

  tell() {
    const of = state.events.filter((each) => each.tier === this.name);
    if (this.boxes.Events) renew(this.boxes.Events, eventList(of, "Latest events of this tier"));
  }

  close() {
    [...Object.values(this.charts), this.past].forEach((each) => each.close());
  }

  set(chart, data, series) {
    const known = series.filter(([, values]) => values && values.some((each) => each !== null));
    chart.element.hidden = !known.length && chart.optional;
    chart.set(charted(data, known));
  }
}

const graphLink = () => make("a", { href: "#/" }, "‹ The graph");

class TierPage extends Detail {
  constructor(name) {
    const charts = {
      sent: new Chart({ title: "Traffic", words: rate, filled: false, top: 1e5 }),
      viewers: new Chart({ title: "Viewers", words: count, top: 4 }),
      hits: new Chart({ title: "Hit ratio", words: share, filled: false, top: 1 }),
      cpu: new Chart({ title: "Processor, share of a core", words: share, top: 0.1 }),
      memory: new Chart({ title: "Memory", words: bytes }),
    };
    for (const each of ["hits", "cpu", "memory"]) charts[each].optional = true;
    super(name, [named(name)], [graphLink()], charts,
      ["Upstreams", "Streams", "Traffic by protocol", "Drops by reason", "Refusals by reason", "Requests by result",
        "Memory by use", "Events"]);
  }

  show(data) {
    const tier = data.tiers[this.name];
    if (!tier) return;
    this.set(this.charts.sent, data, [["sent", tier.bits], ["received", tier.bits_in], ["from upstream", tier.upstream_bits]]);
    this.set(this.charts.viewers, data, [["viewers", tier.viewers], ["chopped", tier.chopped]]);
    this.set(this.charts.hits, data, [["hit ratio", tier.hit_ratio]]);
    this.set(this.charts.cpu, data, [["processor", tier.cpu]]);
    this.set(this.charts.memory, data, [["memory", tier.memory]]);
  }

  update() {
    const told = state.now.tiers[this.name];
    const { node, boxes } = this;
    const place = [["state", stateWord(stateOf(node, told))], ["role", node ? node.role : NONE],
      ["site", node && node.site ? named(node.site) : NONE],
      ["speaks", node ? [...node.serves, ...(node.speaks ? [node.speaks] : [])].map((each) => each.plugin).join(", ") || NONE : NONE]];
    if (!told) {
      renew(this.facts, figures([...place, ["where", node && node.host ? node.host : "a server elsewhere"],
        ["address", node && (node.address || node.listen.join(" ")) || NONE]]));
      for (const each of Object.values(boxes)) renew(each, make("p", { class: "word" }, "It runs elsewhere: its own process tells."));
      renew(boxes.Events, eventList(state.events.filter((each) => each.tier === this.name), "Events"));
      return;
    }
    const process = state.now.processes[this.name];
    renew(this.facts, figures([...place,
      [children(this.name).length ? "clients" : "viewers", count(told.viewers)], ["chopped", count(told.chopped)],
      ["sends", rate(told.bits)], ["receives", rate(told.bits_in)], ["pulls", rate(told.upstream_bits)],
      ["hit ratio, 30 s", share(told.hit_ratio ?? NaN)],
      ["connections", count(told.connections)], ["upstream connections", count(told.upstream_connections)],
      ["slowest player behind", told.lag === undefined ? NONE : `${digits(told.lag, 1)} s`], ["GOPs skipped", count(told.skipped_gops)],
      ["accepted", count(told.accepted)], ["refused", count(told.refused)], ["failed", count(told.failed)],
      ["up for", span(told.uptime)],
      ...(process ? [["process id", `${process.pid ?? NONE}, begun ${process.starts === 1 ? "once" : `${count(process.starts)} times`}`]] : []),
      ["addresses", make("bdi", { class: "long" }, (told.addresses || []).join(" "))]]));
    renew(boxes.Upstreams, upstreamTable(told));
    renew(boxes.Streams, streamTable([this.name], "Streams of this tier"));
    renew(boxes["Traffic by protocol"], table("Traffic by protocol, so far", ["protocol", "scheme", "connections", "received", "sent"],
      (told.traffic || []).map((each) => [each.protocol, each.scheme, count(each.connections), bytes(each.bytes_in), bytes(each.bytes_out)])));
    renew(boxes["Drops by reason"], counts("Dropped so far", "reason", told.drops));
    renew(boxes["Refusals by reason"], counts("Refused so far", "reason", told.refusals));
    renew(boxes["Requests by result"], counts("Requests so far", "result", told.results));
    renew(boxes["Memory by use"], counts("Bytes now", "use", told.memory, bytes));
    this.past.tick(state.now);
  }
}

// What a stream is called apart from how it is asked for: live/s of RTMP is /live/s/playlist.m3u8 of HLS.
function programme(name) {
  return name.replace(/^\/+/, "").replace(/\/[^/]*\.(m3u8|mpd)$/, "").replace(/\.(flv|m3u8|mpd)$/, "");
}

class StreamPage extends Detail {
  constructor(tier, stream) {
    const charts = {
      sent: new Chart({ title: "Traffic", words: rate, top: 1e5 }),
      viewers: new Chart({ title: "Viewers", words: count, top: 4 }),
    };
    super(tier, [named(stream), make("small", {}, " at ", named(tier))],
      [graphLink(), " ", make("a", { href: link("tier", tier) }, "‹ ", named(tier))], charts,
      ["Upstreams", "The same elsewhere", "Events"]);
    this.stream = stream;
  }

  show(data) {
    const series = data.tiers[this.name]?.streams?.[this.stream];
    this.set(this.charts.sent, data, [["sent", series?.bits]]);
    this.set(this.charts.viewers, data, [["viewers", series?.viewers]]);
  }

  update() {
    const told = state.now.tiers[this.name];
    const stream = told?.streams?.find((each) => whole(each.name) === this.stream);
    renew(this.facts, stream ? figures([["state", airWord(stream)], ["viewers", count(stream.viewers)], ["sent", rate(stream.bits)]])
      : make("p", { class: "word" }, "This tier has no such stream now."));
    renew(this.boxes.Upstreams, told ? upstreamTable(told) : make("p", { class: "word" }, "Nothing is known of this tier."));
    const others = Object.entries(state.now.tiers).flatMap(([tier, each]) => (each.streams || [])
      .filter((one) => programme(one.name) === programme(this.stream) && !(tier === this.name && whole(one.name) === this.stream))
      .map((one) => [make("a", { href: link("stream", tier, one.name) }, named(one.name)), count(one.viewers),
        rate(one.bits), airWord(one), named(tier)]));
    renew(this.boxes["The same elsewhere"], others.length
      ? table("The same stream at other tiers", ["stream", "viewers", "sent", "state", "tier"], others)
      : make("p", { class: "word" }, "No other tier of this process has it."));
    this.past.tick(state.now);
  }
}
