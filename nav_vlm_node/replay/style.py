"""The style sheet of report.html."""

STYLE = """
:root{color-scheme:light dark;--ink:#18181b;--paper:#fafaf9;--card:#fff;--faint:#62626b;--line:#d9d9de;
--answer:#145fcd;--against:#a2185b;--live:#62626b;--truth:#007a54;--good:#00623f;--goodback:#d8f3e6;
--bad:#9b1c1c;--badback:#fde3e1;--half:#7a4b00;--halfback:#fdecc8}
@media (prefers-color-scheme:dark){:root{--ink:#eceaf0;--paper:#141417;--card:#1e1e23;--faint:#a3a3ae;--line:#3a3a42;
--answer:#78adff;--against:#ff8fbd;--live:#a3a3ae;--truth:#35c492;--good:#8be8bd;--goodback:#0d3b2a;
--bad:#ffb0a8;--badback:#4a1512;--half:#ffd68a;--halfback:#45320a}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:1.6rem 1.2rem 4rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .4rem} h2{font-size:1.4rem;margin:2rem 0 .6rem} h3{margin:.2rem 0 .5rem}
.faint{color:var(--faint);font-size:.92rem;margin:.1rem 0}
.notes{background:var(--halfback);color:var(--half);border-radius:10px;padding:.6rem 1rem .6rem 2rem}
.tiles,.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.7rem}
.tiles li{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.5rem 1rem}
.tiles b{display:block;font-size:1.5rem;line-height:1.2}
.legend li{display:flex;align-items:center;gap:.5rem;margin-right:1rem}
.legend i{width:26px;height:5px;border-radius:3px;background:currentColor}
.answer{color:var(--answer)} .against{color:var(--against)} .live{color:var(--live)} .truth{color:var(--truth)}
.scroll{overflow-x:auto} table{border-collapse:collapse;background:var(--card);font-size:.94rem}
th,td{text-align:left;padding:.4rem .8rem;border:1px solid var(--line);font-weight:normal;overflow-wrap:normal}
td{font-variant-numeric:tabular-nums}
article{display:grid;grid-template-columns:minmax(0,5fr) minmax(0,6fr);gap:1.2rem;background:var(--card);
border:1px solid var(--line);border-radius:14px;padding:1.1rem;margin:0 0 1.2rem;scroll-margin-top:1rem}
article.differs{border-left:6px solid var(--half)}
@media (max-width:760px){article{grid-template-columns:1fr}}
figure{position:relative;margin:0;align-self:start} figure img{display:block;width:100%;height:auto;border-radius:8px}
.blank{margin:0;min-height:8rem;border-radius:8px;background:var(--line);color:var(--faint);display:grid;
place-items:center;padding:1rem}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.4rem 1rem;margin:.6rem 0}
dt{max-width:11rem} dd{margin:0}
@media (max-width:560px){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}
.mark{border-radius:99px;padding:.05rem .65rem;font-size:.85rem;font-weight:600}
.mark.good{background:var(--goodback);color:var(--good)} .mark.half{background:var(--halfback);color:var(--half)}
.mark.bad{background:var(--badback);color:var(--bad)}
svg text{font-family:system-ui,sans-serif}
svg.over{position:absolute;inset:0;width:100%;height:100%;border-radius:8px;overflow:hidden;
--answer:#145fcd;--against:#a2185b;--truth:#007a54}
.over .rim{fill:none;stroke:#fff;stroke-width:9;stroke-linecap:round;stroke-linejoin:round}
.over .line{fill:none;stroke:currentColor;stroke-width:5;stroke-linecap:round;stroke-linejoin:round}
.over .against .line{stroke-dasharray:14 9} .over .truth .line{stroke-dasharray:3 9}
.over .tip,.over .thing{fill:currentColor;stroke:#fff;stroke-width:2}
.over .thing{fill:none;stroke:currentColor;stroke-width:4;paint-order:stroke}
.over rect{fill:#fff;stroke:currentColor;stroke-width:1} .over text{fill:currentColor}
svg.plot{display:block;width:100%;min-width:900px;height:auto;background:var(--card);border:1px solid var(--line);
border-radius:10px}
.plot text{fill:var(--faint);font-size:14px} .plot text.end{text-anchor:end}
.plot text.answer,.plot text.against,.plot text.live{fill:currentColor}
.axis{stroke:var(--faint)} .grid{stroke:var(--line)} .bar{fill:var(--line)}
.limit{stroke:var(--bad);stroke-dasharray:5 4}
.curve{fill:none;stroke:currentColor;stroke-width:3}
.plot line.good{stroke:var(--good)} .plot line.half{stroke:var(--half)} .plot line.bad{stroke:var(--bad)}
.plot circle.good{fill:var(--good)} .plot circle.half{fill:var(--half)} .plot circle.bad{fill:var(--bad)}
.plot circle.differs{fill:none;stroke:var(--half);stroke-width:3}
pre{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.8rem;overflow-x:auto;
font-size:.8rem}
"""
