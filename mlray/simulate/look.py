"""How the page of a replay looks: its style and its template. Every value is escaped; only the plot, which is ours, is not."""

from __future__ import annotations

STYLE = """
:root { --ink: #1d232b; --dim: #66707c; --line: #dde1e6; --back: #fff; --soft: #f5f7f9; --bad: #b3261e; --good: #1b7f4d; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 24px; color: var(--ink); background: var(--back); }
body { font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0; }
h2 { font-size: 16px; margin: 32px 0 8px; }
.dim { color: var(--dim); }
code { font: 12px ui-monospace, monospace; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 16px 0; }
.tile { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: 8px 14px; }
.tile b { display: block; font-size: 18px; }
.plot svg { width: 100%; height: auto; }
.scroll { max-height: 520px; overflow: auto; border: 1px solid var(--line); border-radius: 6px; padding: 0 10px; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--dim); }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.kept { color: var(--good); }
.missed { color: var(--bad); font-weight: 600; }
"""

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>{{ style|safe }}</style>
</head>
<body>
<h1>{{ title }}</h1>
<div class="dim">{{ about }}</div>
{% for note in notes %}
<div class="dim">{{ note }}</div>
{% endfor %}
<div class="tiles">
{% for name, value in tiles %}
<div class="tile"><b>{{ value }}</b>{{ name }}</div>
{% endfor %}
</div>
<div class="plot">{{ plot|safe }}</div>
{% for table in tables %}
<h2>{{ table.name }}</h2>
<table>
<tr>{% for cell in table.heading %}<th{{ ' class="n"'|safe if not loop.first }}>{{ cell }}</th>{% endfor %}</tr>
{% for row in table.rows %}
<tr>{% for cell in row %}<td{{ ' class="n"'|safe if not loop.first }}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% endfor %}
{% for name, shown, left in decisions %}
<h2>Decisions under {{ name }}</h2>
<div class="scroll"><table>
<tr><th>at</th><th>what</th><th>about</th><th>bound</th><th>policy</th><th>why</th></tr>
{% for d in shown %}
<tr><td class="n">{{ d.at.strftime("%Y-%m-%d %H:%M:%S") }}</td><td>{{ d.kind }}</td><td>{{ d.subject }}</td><td>{{ d.bound }}</td>
<td>{{ d.policy }}</td><td>{{ d.reason }}</td></tr>
{% endfor %}
</table></div>
{% if left %}<div class="dim">and {{ left }} more, which --decisions prints</div>{% endif %}
{% endfor %}
</body>
</html>
"""
