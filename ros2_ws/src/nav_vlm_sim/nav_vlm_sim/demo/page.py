"""The frame of report.html: style for light and dark, and the little script behind the Play buttons."""

from __future__ import annotations

from html import escape

_STYLE = """
:root{color-scheme:light dark;--ink:#18181b;--paper:#fafaf9;--card:#fff;--faint:#6b6b74;--line:#d9d9de;
--truth:#007a54;--answer:#145fcd;--hazard:#b84800;--good:#00623f;--goodback:#d8f3e6;--bad:#9b1c1c;--badback:#fde3e1;
--half:#7a4b00;--halfback:#fdecc8}
@media (prefers-color-scheme:dark){:root{--ink:#eceaf0;--paper:#141417;--card:#1e1e23;--faint:#a3a3ae;--line:#3a3a42;
--truth:#35c492;--answer:#78adff;--hazard:#ff9a52;--good:#8be8bd;--goodback:#0d3b2a;--bad:#ffb0a8;--badback:#4a1512;
--half:#ffd68a;--halfback:#45320a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:2rem 1.2rem 4rem;background:var(--paper);color:var(--ink);
font:17px/1.55 system-ui,sans-serif}
h1{font-size:2rem;line-height:1.2;margin:0 0 .6rem}
h2{font-size:1.45rem;line-height:1.25;margin:.1rem 0 .8rem}
header p{max-width:62ch}
a{color:inherit}
code{font-size:.95em}
.tiles{display:flex;flex-wrap:wrap;gap:.8rem;list-style:none;padding:0;margin:1.4rem 0 2.4rem}
.tiles li{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:.7rem 1.1rem}
.tiles b{display:block;font-size:1.7rem;line-height:1.2}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:12px;background:var(--card)}
table{border-collapse:collapse;width:100%;min-width:46rem;font-size:.94rem}
th,td{text-align:left;vertical-align:top;padding:.55rem .8rem;border-bottom:1px solid var(--line);font-weight:normal}
thead th{color:var(--faint);font-size:.85rem}
tr:last-child>*{border-bottom:0}
section{margin:0 0 2.4rem}
.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.4rem 1.6rem}
.legend li{display:flex;align-items:center;gap:.5rem}
.key{width:40px;height:24px}
article{background:var(--card);border:1px solid var(--line);border-radius:16px;padding:1.3rem;margin:0 0 1.6rem;
scroll-margin-top:1rem}
.kicker{margin:0;color:var(--faint);font-size:.92rem}
.pair{display:grid;grid-template-columns:3fr 2fr;gap:1rem;align-items:center}
@media (max-width:760px){.pair{grid-template-columns:1fr}}
figure{position:relative;margin:0}
figure img{display:block;width:100%;height:auto;border-radius:10px}
svg.over{position:absolute;inset:0;width:100%;height:100%;border-radius:10px;overflow:hidden}
body:has(#marks:not(:checked)) svg.over{display:none}
svg.plan{display:block;width:100%;height:auto;overflow:hidden}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.35rem 1.2rem;margin:1.1rem 0 0}
dt{color:var(--faint)} dd{margin:0}
@media (max-width:560px){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}
.spoken{font-size:1.15rem;font-weight:600}
button{font:inherit;font-size:.92rem;margin-left:.5rem;padding:.15rem .9rem;border-radius:99px;cursor:pointer;
border:1px solid var(--answer);background:transparent;color:var(--answer)}
.mark{display:inline-block;border-radius:99px;padding:0 .75rem;font-size:.92rem;font-weight:600;
background:var(--halfback);color:var(--half)}
.mark.right{background:var(--goodback);color:var(--good)}
.mark.wrong,.mark.failed{background:var(--badback);color:var(--bad)}
.bar{display:block;height:6px;max-width:22rem;border-radius:3px;margin:.3rem 0;background:var(--answer);overflow:hidden}
.bar i{display:block;height:100%;background:var(--line)}
footer{color:var(--faint);border-top:1px solid var(--line);margin-top:2.4rem;padding-top:1.2rem}
footer h2{color:var(--ink)} footer p{max-width:72ch}
svg text{font-family:system-ui,sans-serif}
.area{stroke-width:1} .rim{fill:none;stroke:#fff;stroke-width:3} .wide{stroke-width:8}
.stroke{fill:none;stroke-width:4}
.truth.area{fill:var(--truth);fill-opacity:.38;stroke:var(--truth)} .truth.stroke{stroke:var(--truth)}
.answer.area{fill:var(--answer);fill-opacity:.88;stroke:var(--answer)}
.said.stroke{stroke:var(--answer)} .hazard.stroke{stroke:var(--hazard)}
.plan .rim,.key .rim{stroke:var(--card)}
.grid{fill:none;stroke:var(--line)}
text.grid,text.thing{fill:var(--faint);stroke:var(--card);stroke-width:3;paint-order:stroke}
.thing.dot{fill:var(--faint)} .wearer.dot{fill:var(--ink)}
rect{fill:#fff} rect.truth,rect.answer,rect.said,rect.hazard{stroke-width:1}
.over{--truth:#007a54;--answer:#145fcd;--hazard:#b84800}
rect.truth{stroke:var(--truth)} rect.answer,rect.said{stroke:var(--answer)} rect.hazard{stroke:var(--hazard)}
text.truth{fill:var(--truth)} text.answer,text.said{fill:var(--answer)} text.hazard{fill:var(--hazard)}
@media print{button,.switch{display:none}article{break-inside:avoid}}
"""

# Plays the answer as it came: the words at the times at which they were written, then the voice, where there is one.
# One at a time: what another press had begun is over, and its whole answer stands there again.
_SCRIPT = """
let timers = [], end = () => {};
for (const button of document.querySelectorAll("button[data-say]")) {
  const shown = button.previousElementSibling, said = button.dataset.say, pieces = JSON.parse(button.dataset.pieces);
  const after = (milliseconds, act) => timers.push(setTimeout(act, milliseconds));
  button.hidden = false;
  button.onclick = () => {
    timers.forEach(clearTimeout);
    timers = [];
    end();
    end = () => { shown.textContent = said; };
    window.speechSynthesis?.cancel();
    const voice = () => {
      end();
      if ("speechSynthesis" in window) {
        const words = new SpeechSynthesisUtterance(said);
        words.lang = "en";
        speechSynthesis.speak(words);
      }
    };
    shown.textContent = "\\u2026";
    for (const [seconds, text] of pieces) after(1000 * seconds, () => { shown.textContent = text; });
    after(pieces.length ? 1000 * pieces.at(-1)[0] + 300 : 300, voice);
  };
}
"""


def document(title: str, body: str) -> str:
    """A complete HTML document that loads nothing from anywhere."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body>{body}<script>{_SCRIPT}</script></body></html>\n"
    )
