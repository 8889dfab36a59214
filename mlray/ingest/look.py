"""How the page of a version looks: its style and its template. Every value is escaped; only the plots, which are ours, are not."""

from __future__ import annotations

STYLE = """
:root { --ink: #1d232b; --dim: #66707c; --line: #dde1e6; --back: #fff; --soft: #f5f7f9; --bar: #3567b0; --bad: #b3261e; --good: #1b7f4d; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 24px; color: var(--ink); background: var(--back); }
body { font: 14px/1.45 system-ui, sans-serif; }
h1 { font-size: 22px; margin: 0; }
h2 { font-size: 16px; margin: 32px 0 8px; }
h3 { font-size: 14px; margin: 0; overflow-wrap: anywhere; }
.dim { color: var(--dim); }
code { font: 12px ui-monospace, monospace; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: 10px; margin: 16px 0; }
.tile { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: 8px 14px; }
.tile b { display: block; font-size: 18px; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--dim); }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { display: block; height: 10px; background: var(--bar); border-radius: 2px; min-width: 1px; }
.wide { width: 40%; }
.bars { table-layout: fixed; margin-top: 6px; }
.bars td { padding: 1px 8px 1px 0; border: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.bars .n { width: 60px; }
.held { color: var(--good); }
.failed { color: var(--bad); font-weight: 600; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 12px; }
.card { border: 1px solid var(--line); border-radius: 6px; padding: 10px 12px; }
.card svg { width: 100%; height: auto; }
.tag { background: var(--soft); border: 1px solid var(--line); border-radius: 9px; padding: 0 7px; font-size: 11px; font-weight: 400; }
.key i { display: inline-block; width: 10px; height: 10px; margin: 0 4px 0 10px; }
"""

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ r.version }}</title>
<style>{{ style|safe }}</style>
</head>
<body>
{% macro bar(part, whole) %}<span class="bar" style="width:{{ width(part, whole) }}%"></span>{% endmacro %}

<h1>{{ r.version }}</h1>
<div class="dim">made {{ r.created[:19] }} UTC{{ " by " ~ r.job if r.job }}{{ ", " ~ r.owner if r.owner }}</div>
<code class="dim">{{ r.digest }}</code>
<div class="tiles">
{% for name, value in tiles %}
<div class="tile"><b>{{ value }}</b>{{ name }}</div>
{% endfor %}
</div>

<h2>Rows by split</h2>
<table>
<tr><th>split</th><th class="n">rows</th><th class="n">share</th><th class="n">label 1</th><th>first</th><th>last</th></tr>
{% for s in r.splits %}
<tr><td>{{ s.split }}</td><td class="n">{{ number(s.rows) }}</td><td class="n">{{ share(s.rows, kept) }}</td>
<td class="n">{{ share(s.positives, s.rows) }}</td><td>{{ s.first or "" }}</td><td>{{ s.last or "" }}</td></tr>
{% endfor %}
</table>

<h2>Rejected rows</h2>
{% if r.rejected %}
<table>
{% for reason, rows in r.rejected.items() %}
<tr><td>{{ reason }}</td><td class="n">{{ number(rows) }}</td><td class="n">{{ share(rows, r.rows_read) }}</td>
<td class="wide">{{ bar(rows, most_rejected) }}</td></tr>
{% endfor %}
</table>
{% else %}
<p>None.</p>
{% endif %}

<h2>Checks</h2>
{% if r.checks or r.warned %}
<table>
{% for c in r.checks %}
<tr><td class="{{ "held" if c.held else "failed" }}">{{ "holds" if c.held else "fails" }}</td>
<td>{{ c.said }}</td><td class="dim">{{ c.on_fail }}</td></tr>
{% endfor %}
{% for reason, rows in r.warned.items() %}
<tr><td class="failed">warning</td><td>{{ reason }}: {{ number(rows) }} rows</td><td class="dim">warn</td></tr>
{% endfor %}
</table>
{% else %}
<p>No rule on the whole version was declared, and no row failed one that warns.</p>
{% endif %}

<h2>Columns</h2>
{% if splits|length > 1 %}
<p class="key dim">{% for name, colour in splits %}<i style="background:{{ colour }}"></i>{{ name }}{% endfor %}</p>
{% endif %}
<div class="cards">
{% for c in r.columns %}
<div class="card">
<h3>{{ c.column }} <span class="dim">{{ c.type }}</span>
{% for tag in (c.class, c.protection) if tag %} <span class="tag">{{ tag }}</span>{% endfor %}</h3>
{% if not c.all %}
<div class="dim">no statistics were kept</div>
{% else %}
{% if c.all.missing %}
<div class="dim">missing:
{% for split, f in c.splits.items() %}{{ split }} {{ percent(f.missing) }}{{ ", " if not loop.last }}{% endfor %}</div>
{% else %}
<div class="dim">none missing</div>
{% endif %}
{% if "min" in c.all %}
<div class="dim">{{ number(c.all.min) }} to {{ number(c.all.max) }}, mean {{ number(c.all.mean) }}
{{- ", deviation " ~ number(c.all.std) if c.all.std }}{{ ", " ~ c.all.not_finite ~ " not finite" if c.all.not_finite }}</div>
{{ plots[c.column]|safe }}
{% elif "distinct" in c.all %}
<div class="dim">{{ c.all.distinct }} values</div>
<table class="bars">
{% for value, rows in c.all.top or () %}
<tr><td title="{{ value }}">{{ value }}</td><td class="n dim">{{ share(rows, c.all.rows) }}</td>
<td class="wide">{{ bar(rows, c.all.top[0][1]) }}</td></tr>
{% endfor %}
</table>
{% endif %}
{% endif %}
</div>
{% endfor %}
</div>

{% for name, lines in (("Changes since the version before", since), ("Differences from what was declared", declared)) if lines %}
<h2>{{ name }}</h2>
<table>
{% for what, value in lines %}
<tr><td>{{ what }}</td><td>{{ value }}</td></tr>
{% endfor %}
</table>
{% endfor %}

<h2>Made from</h2>
<table>
{% for what, digest in r.lineage.items() %}
<tr><td>{{ what }}</td><td><code>{{ digest }}</code></td></tr>
{% endfor %}
</table>
</body>
</html>
"""
