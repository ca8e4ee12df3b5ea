// What a reader with other senses finds on the page as it is drawn now: one line for each thing that is wrong.
// The rules are those of WCAG 2.2 that a machine can tell: 1.3.1, 1.4.3, 1.4.10, 2.4.6, 2.5.8 and 4.1.2.
const wrong = [];
const all = [...document.querySelectorAll("body *")];
const what = (each) => `<${each.localName}${each.id ? ` #${each.id}` : ""}> ${each.textContent.trim().slice(0, 40)}`;
const shown = (each) => each.checkVisibility({ checkOpacity: false }) && !each.closest(".hidden, .skip, noscript");

const channels = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
const luminance = ([red, green, blue]) => {
  const linear = [red, green, blue].map((each) => each / 255)
    .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const ground = (each) => {
  for (let at = each; at; at = at.parentElement) {
    const found = channels(getComputedStyle(at).backgroundColor);
    if (found.length === 3 || found[3] > 0) return found;
  }
  return [255, 255, 255];
};
let texts = 0;
for (const each of all) {
  if (!shown(each)) continue;
  if (![...each.childNodes].some((one) => one.nodeType === Node.TEXT_NODE && one.data.trim())) continue;
  texts += 1;
  const style = getComputedStyle(each);
  const colour = channels(each.namespaceURI.endsWith("svg") ? style.fill : style.color);
  const [low, high] = [luminance(colour), luminance(ground(each))].sort((one, other) => one - other);
  const ratio = (high + 0.05) / (low + 0.05);
  if (ratio < 4.5) wrong.push(`contrast ${ratio.toFixed(2)}: ${what(each)}`);
  const box = each.getBoundingClientRect();
  if (box.right > innerWidth + 1 && !each.closest(".wide")) wrong.push(`beyond the edge: ${what(each)}`);
}
if (texts < 30) wrong.push(`only ${texts} texts are shown`);

const ids = all.map((each) => each.id).filter(Boolean);
for (const each of new Set(ids)) if (ids.filter((one) => one === each).length > 1) wrong.push(`two elements #${each}`);
for (const each of all)
  for (const name of ["aria-labelledby", "aria-describedby"])
    if (each.hasAttribute(name) && !document.getElementById(each.getAttribute(name)))
      wrong.push(`${name} of ${what(each)} leads nowhere`);

for (const each of document.querySelectorAll("a, button, summary, input, [tabindex='0']")) {
  if (!shown(each)) continue;
  const name = each.getAttribute("aria-label") || each.textContent.trim() || each.closest("label")?.textContent.trim();
  if (!name) wrong.push(`no name: ${each.outerHTML.slice(0, 80)}`);
}
for (const each of document.querySelectorAll("[role=img]"))
  if (shown(each) && !each.getAttribute("aria-label")) wrong.push(`a picture without words: ${each.outerHTML.slice(0, 60)}`);
for (const each of document.querySelectorAll("table")) {
  if (!each.caption) wrong.push(`a table without a caption: ${what(each)}`);
  if (each.querySelector("thead th:not([scope=col]), tbody th:not([scope=row])")) wrong.push(`heads without scope: ${what(each)}`);
}
let before = 0;
for (const each of document.querySelectorAll("h1, h2, h3")) {
  const level = Number(each.localName[1]);
  if (level > before + 1) wrong.push(`h${level} after h${before}: ${what(each)}`);
  before = level;
}
for (const each of ["header", "main", "footer", "h1"])
  if (document.querySelectorAll(each).length !== 1) wrong.push(`not one <${each}>`);

// Cards on one another, and words that their card cuts off.
const cards = [...document.querySelectorAll(".card")];
const boxes = cards.map((each) => each.getBoundingClientRect());
cards.forEach((card, index) => {
  if (card.scrollWidth > card.clientWidth + 1) wrong.push(`cut off: ${what(card)}`);
  boxes.forEach((other, later) => {
    const one = boxes[index];
    if (later > index && one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom)
      wrong.push(`${what(card)} and ${what(cards[later])} are on one another`);
  });
});
if (document.documentElement.scrollWidth > innerWidth) wrong.push(`wider than the screen by ${document.documentElement.scrollWidth - innerWidth}`);
return wrong;
