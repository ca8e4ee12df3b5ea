// What was: asked for once, then grown by what is told each second, or asked for again where a point takes longer.

const RANGES = [["10 min", 600], ["1 h", 3600], ["6 h", 21600], ["48 h", 172800]];
const POINTS = 720;
const FINEST = 600;
let range = RANGES[0][1];

class Past {
  // `tier` for one tier with its streams; `show` is called with what there is.
  constructor(tier, show) {
    Object.assign(this, { tier, show, data: null, asked: 0, closed: false });
    this.load();
  }

  async load() {
    const wanted = range;
    this.asked = performance.now();
    try {
      const tier = this.tier === null ? "" : `&tier=${encodeURIComponent(this.tier)}`;
      const answer = await fetch(`history?seconds=${wanted}&points=${POINTS}${tier}`);
      if (!answer.ok) return;
      const data = parse(await answer.text());
      if (this.closed || wanted !== range) return;
      this.data = data.step === 1 ? steady(data) : data;
      this.show(data);
    } catch {
      // The process is not there; the banner says so, and the next look asks again.
    }
  }

  tick(now) {
    const waited = (performance.now() - this.asked) / 1000;
    if (!this.data) return waited > 2 ? this.load() : undefined;
    if (this.data.step !== 1) return waited > Math.min(Math.max(this.data.step, 10), 60) ? this.load() : undefined;
    const due = this.data.from + this.data.points;
    if (now.at < due) return undefined;
    if (now.at > due || this.data.points > FINEST) return waited > 2 ? this.load() : undefined;
    this.grow(now);
    return this.show(this.data);
  }

  grow(now) {
    const { data } = this;
    const points = data.points;
    const over = points >= Math.min(range, FINEST) ? 1 : 0;
    const push = (series, name, value) => {
      series[name] ||= new Array(points).fill(null);
      series[name].push(Number.isFinite(value) ? value : null);
      series[name].splice(0, over);
    };
    const all = (series, newest) => {
      for (const name of new Set([...Object.keys(series), ...Object.keys(newest)])) push(series, name, newest[name]);
    };
    all(data.type, now.type);
    all(data.site, now.site);
    all(data.process, { cpu: now.process.cpu, memory: now.process.memory });
    for (const [name, tier] of Object.entries(data.tiers)) {
      const told = now.tiers[name] || plain();
      for (const each of ["bits", "bits_in", "upstream_bits", "viewers", "chopped", "hit_ratio", "cpu"])
        push(tier, each, told[each]);
      push(tier, "memory", told.process_memory);
      const streams = new Map((told.streams || []).map((each) => [each.name, each]));
      for (const [stream, series] of Object.entries(tier.streams || {})) {
        push(series, "bits", streams.get(stream)?.bits);
        push(series, "viewers", streams.get(stream)?.viewers);
      }
    }
    data.points += 1 - over;
    data.from += over;
  }

  close() {
    this.closed = true;
  }
}

// One question for all charts of a page: which hours they show.
function rangeSwitch(changed) {
  return make("fieldset", { class: "range" }, make("legend", { class: "hidden" }, "How far back the charts go"),
    ...RANGES.map(([words, seconds]) => {
      const input = make("input", { type: "radio", name: "range", value: seconds, checked: seconds === range });
      input.addEventListener("change", () => {
        range = seconds;
        history.replaceState(null, "", `${location.hash.split("?")[0] || "#/"}?range=${seconds}`);
        changed();
      });
      return make("label", {}, input, make("span", {}, words));
    }));
}

// Segments leave in bursts, and hits come with them: by the second, each point is the mean of the last STEADY seconds of
// what is known, of hit ratios RECENT, as the process tells its newest ones too.
const STEADY = 10, RECENT = 30;

function means(values, width) {
  let sum = 0, known = 0;
  return values.map((each, index) => {
    const gone = index >= width ? values[index - width] : null;
    if (each !== null) { sum += each; known += 1; }
    if (gone !== null) { sum -= gone; known -= 1; }
    return known ? Math.max(0, sum / known) : null;
  });
}

function steady(data) {
  const all = (series, names, width = STEADY) => names.forEach((each) => { series[each] = means(series[each], width); });
  all(data.type, Object.keys(data.type));
  all(data.site, Object.keys(data.site));
  for (const tier of Object.values(data.tiers)) {
    all(tier, ["bits", "bits_in", "upstream_bits", "cpu"]);
    all(tier, ["hit_ratio"], RECENT);
    for (const each of Object.values(tier.streams || {})) all(each, ["bits"]);
  }
  return data;
}

const charted = (data, series) => ({ from: data.from, step: data.step, points: data.points, series });
