"""The look of report.html."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fff; --card: #f5f6f8; --ink: #1c1f23; --soft: #5c6570; --line: #d9dde2; --mark: #0067a8;
}
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171a; --card: #1e2327; --ink: #e8eaed; --soft: #a3acb5; --line: #343b42; --mark: #6db8ee; }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1120px; padding: 1.5rem clamp(.8rem, 3vw, 2rem) 4rem; overflow-wrap: anywhere;
  background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { font-size: 1.55rem; line-height: 1.25; margin: .2rem 0; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
.soft, figcaption, .card small, caption, dd { color: var(--soft); }
.soft { margin: 0; }
.verdict, .warn { background: var(--card); border-left: 4px solid var(--mark); border-radius: 4px; }
.verdict { font-size: 1.12rem; margin: 1.1rem 0; padding: .9rem 1.1rem; }
.warn { border-color: #d55e00; margin-top: .8rem; padding: .6rem 1.1rem; }
.warn ul { margin: 0; padding-left: 1rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); gap: .7rem; }
.card { background: var(--card); border-radius: 8px; padding: .7rem .9rem; }
.card b { display: block; font-size: 1.3rem; }
.card span, .card small { display: block; font-size: .85rem; }
figure { margin: 1.6rem 0; break-inside: avoid; }
figure h3 { margin: 0 0 .4rem; font-size: 1.05rem; }
figure img {
  display: block; max-width: 100%; height: auto; padding: .5rem;
  background: #fff; border: 1px solid var(--line); border-radius: 8px;
}
figcaption { font-size: .92rem; margin-top: .45rem; max-width: 80ch; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .93rem; min-width: 50%; overflow-wrap: normal; }
caption { text-align: left; padding-bottom: .35rem; font-size: .92rem; }
th, td { padding: .32rem .8rem .32rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.dge { font-weight: 600; }
.better::before { content: "▲ "; }
.worse::before { content: "▼ "; }
.level::before { content: "= "; }
pre { background: var(--card); padding: .8rem; border-radius: 8px; overflow-x: auto; font-size: .85rem; }
summary { cursor: pointer; font-weight: 600; margin: .6rem 0; }
dt { font-weight: 600; }
dd { margin: 0 0 .5rem 0; }
"""
