// Which page is shown, and the line to the process: lost and found again.

//: Seconds without a word after which the page says so, and after which it calls anew.
const STALE = 3, ANEW = 10;

let view = null;
let shown = null;

function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const wanted = Number(new URLSearchParams(query || "").get("range"));
  if (RANGES.some(([, seconds]) => seconds === wanted)) range = wanted;
  try {
    return path.split("/").map(decodeURIComponent);
  } catch {
    return [""];
  }
}

function show() {
  if (!state.plan || !state.now) return;
  const wanted = route();
  const key = JSON.stringify(wanted);
  if (key !== shown) {
    const first = shown === null;
    shown = key;
    view?.close();
    const [kind, tier, stream] = wanted;
    const known = (name) => state.plan.nodes.some((each) => each.name === name) || name in state.now.tiers;
    if (kind === "tier" && known(tier)) view = new TierPage(tier);
    else if (kind === "stream" && known(tier) && stream !== undefined) view = new StreamPage(tier, stream);
    else view = new Home();
    document.getElementById("main").replaceChildren(view.element);
    view.tell();
    if (!first) {
      window.scrollTo(0, 0);
      (view.element.querySelector("h1[tabindex]") || document.getElementById("main")).focus({ preventScroll: true });
    }
  }
  view.update();
}

let line = null;
let called = 0;

function call() {
  line?.close();
  called = performance.now();
  line = new EventSource("events");
  line.addEventListener("plan", (event) => {
    if (state.planText === event.data) return;
    state.planText = event.data;
    state.plan = parse(event.data);
    shown = null;
    say(document.getElementById("about"), `tierkit ${state.plan.version}. Looks only: nothing can be changed from here.`);
  });
  line.addEventListener("events", (event) => {
    state.events = parse(event.data);
    view?.tell();
  });
  line.addEventListener("now", (event) => {
    state.now = parse(event.data);
    state.heard = performance.now();
    stale();
    verdict();
    show();
  });
}

function stale() {
  const banner = document.getElementById("stale");
  const since = state.heard ?? began;
  const seconds = (performance.now() - since) / 1000;
  const late = seconds > STALE;
  if (late) {
    say(document.getElementById("stale-for"), span(seconds));
    say(document.getElementById("stale-at"), state.now ? time(state.now.at) : "nothing yet");
    const verdict = document.getElementById("verdict");
    verdict.className = "";
    if (state.now) say(verdict, "? How it is now, nobody has told.");
    document.title = `▲ stale for ${span(seconds)} – tierkit`;
    // One that is closed does not come again by itself; one that hears nothing may hang.
    const waited = (performance.now() - called) / 1000;
    if (waited > (line.readyState === EventSource.CLOSED ? 2 : ANEW)) call();
  }
  banner.hidden = !late;
  document.body.classList.toggle("stale", late);
}

const began = performance.now();
window.addEventListener("hashchange", show);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
setInterval(stale, 500);
call();
