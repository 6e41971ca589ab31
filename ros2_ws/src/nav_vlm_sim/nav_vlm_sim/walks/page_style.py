"""Style sheet and script of walks.html; without the script every walk and question stands below the other."""

from __future__ import annotations

from nav_vlm_node.replay.style import STYLE as COMMON

STYLE = (
    COMMON
    + """
small{font-size:.86em;color:var(--faint)} caption{text-align:left;color:var(--faint);padding:.2rem 0}
td small{white-space:nowrap}
:focus-visible{outline:3px solid var(--answer);outline-offset:2px}
nav{position:sticky;top:0;z-index:2;background:var(--card);border:1px solid var(--line);border-radius:12px;
padding:.6rem .9rem;margin:1rem 0;display:grid;gap:.5rem}
nav div{display:flex;flex-wrap:wrap;gap:.5rem .8rem;align-items:center} nav p{margin:0}
nav[hidden]{display:none}
button,select{font:inherit;padding:.25rem .9rem;border-radius:8px;border:1px solid var(--answer);color:var(--answer);
background:var(--card);min-height:2.4rem}
button{cursor:pointer} button:disabled{color:var(--faint);border-color:var(--line);cursor:default}
ol{list-style:none;margin:0;padding:0} ol.list li{margin:.25rem 0}
article.walk{grid-template-columns:minmax(0,5fr) minmax(0,6fr);scroll-margin-top:11rem}
article.walk>header{grid-column:1/-1} article.walk h3{margin:.1rem 0}
@media (max-width:760px){article.walk{grid-template-columns:1fr}}
.js article.walk:not(.now),.js .turn:not(.now){display:none}
.turn{margin:0 0 1.4rem} .js .turn{margin:0}
.turn .blank{aspect-ratio:4/3;min-height:0}
.spoken{font-size:1.2rem;font-weight:600;margin:.5rem 0}
svg.map{display:block;width:100%;height:auto;max-height:70vh}
.map .floor{fill:var(--paper);stroke:var(--line)} .map .wall{fill:var(--ink)}
.map .thing{fill:var(--line);stroke:var(--faint)}
.map circle.goal:not(.dot){fill:var(--goodback);stroke:var(--good);fill-opacity:.6}
.map .goal.dot{fill:var(--good)} .map .sign.dot{fill:var(--faint)}
.map text{stroke:var(--card);stroke-width:4;paint-order:stroke;fill:var(--faint)}
.map text.goal{fill:var(--good);font-weight:700}
.map polyline,.map path{fill:none;stroke-linecap:round;stroke-linejoin:round}
.map .shortest{stroke:var(--truth);stroke-width:4;stroke-dasharray:2 9}
.map .rim{stroke:var(--card);stroke-width:6} .map .walked{stroke:var(--answer);stroke-width:3}
.map .end{fill:none;stroke-width:4} .map .end.good{stroke:var(--good)} .map .end.bad{stroke:var(--bad)}
.ask circle{fill:var(--answer);stroke:var(--card)} .ask.wrong circle{fill:var(--bad)}
.ask line{stroke:var(--answer);stroke-width:2.5} .ask.wrong line{stroke:var(--bad)}
.js .map:not(.key) .ask:not(.now){opacity:.45}
.js .ask:not(.now) .then{display:none}
.ask.now>circle{r:9px;stroke:var(--ink);stroke-width:3}
.ask .person{fill:var(--half);fill-opacity:.75;stroke:var(--card)}
.ask .wanted{stroke:var(--truth);stroke-width:9;opacity:.55} .ask .told{stroke:var(--answer);stroke-width:5}
.ask.wrong .told{stroke:var(--bad)}
svg.map.key{display:inline-block;width:46px;height:22px;flex:none}
.plot .spread{stroke:var(--answer);stroke-width:5;stroke-opacity:.45;stroke-linecap:round}
.plot .value{fill:var(--answer)} .plot .title{fill:var(--ink);font-size:16px}
svg.plot{max-width:1010px;margin:1rem 0}
@media print{nav{display:none}.js article.walk:not(.now),.js .turn:not(.now){display:grid}}
"""
)

SCRIPT = """
const all = [...document.querySelectorAll("article.walk")], filters = [...document.querySelectorAll("nav select")];
const button = (name) => document.getElementById(name), where = document.getElementById("where");
let shown = all, walk = 0, turn = 0;

const turnsOf = (article) => [...article.querySelectorAll(".turn")];

function show(nextWalk, nextTurn) {
  walk = Math.min(Math.max(nextWalk, 0), shown.length - 1);
  const article = shown[walk], turns = article ? turnsOf(article) : [];
  turn = Math.min(Math.max(Number.isNaN(nextTurn) ? 0 : nextTurn, 0), turns.length - 1);
  for (const other of all) other.classList.toggle("now", other === article);
  turns.forEach((one, k) => one.classList.toggle("now", k === turn));
  if (article) {
    for (const ask of article.querySelectorAll(".ask")) {
      const now = Number(ask.dataset.turn) === turn;
      ask.classList.toggle("now", now);
      if (now) ask.parentNode.append(ask);  // on top
    }
  }
  button("walk-back").disabled = walk <= 0;
  button("walk-on").disabled = walk >= shown.length - 1;
  button("turn-back").disabled = walk <= 0 && turn <= 0;
  button("turn-on").disabled = walk >= shown.length - 1 && turn >= turns.length - 1;
  if (!article) { where.textContent = "No walk is like that."; return; }
  const said = turns.length ? turns[turn].querySelector(".spoken").textContent : "nothing was asked";
  where.textContent = `Walk ${walk + 1} of ${shown.length}, question ${turn + 1} of ${turns.length}: ${said}`;
  history.replaceState(null, "", `#${article.id}-${turn + 1}`);
}

function onward(step) {
  const last = shown.length ? turnsOf(shown[walk]).length - 1 : 0;
  if (turn + step < 0) { if (walk > 0) show(walk - 1, Infinity); }
  else if (turn + step > last) { if (walk < shown.length - 1) show(walk + 1, 0); }
  else show(walk, turn + step);
}

function filter() {
  const now = shown[walk];
  shown = all.filter((one) => filters.every((box) => !box.value || one.dataset[box.name] === box.value));
  show(Math.max(shown.indexOf(now), 0), shown.includes(now) ? turn : 0);
}

function jump() {
  const [name, number] = location.hash.slice(1).split("-");
  const found = all.findIndex((one) => one.id === name);
  if (found < 0) return false;
  if (!shown.includes(all[found])) { for (const box of filters) box.value = ""; shown = all; }
  show(shown.indexOf(all[found]), Number(number || 1) - 1);
  return true;
}

document.documentElement.classList.add("js");
document.querySelector("nav").hidden = false;
button("walk-back").onclick = () => show(walk - 1, 0);
button("walk-on").onclick = () => show(walk + 1, 0);
button("turn-back").onclick = () => onward(-1);
button("turn-on").onclick = () => onward(1);
for (const box of filters) box.onchange = filter;
for (const ask of document.querySelectorAll("article .ask")) ask.onclick = () => show(walk, Number(ask.dataset.turn));
window.onhashchange = jump;
document.onkeydown = (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("select,.scroll")) return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  if (event.shiftKey) show(walk + step, 0); else onward(step);
};
if (jump()) document.querySelector("nav").scrollIntoView(); else show(0, 0);
"""
