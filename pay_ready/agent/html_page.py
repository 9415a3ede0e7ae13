"""The frame of every page that is written to a file: self-contained, without scripts or anything fetched, and fit to print."""

STYLE = """
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: start; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #8886; overflow-wrap: anywhere; }
th { white-space: nowrap; }
.bars { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: .4rem 2rem; }
.bars text { fill: currentColor; font-size: 12px; }
@media print {
  body { margin: 0; max-width: none; }
  .scroll { overflow: visible; }
  thead { display: table-header-group; }
  tr, .bars svg { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'none'; form-action 'none'; base-uri 'none'"
TAIL = "\n</body></html>\n"


def document(title: str, body: str) -> str:
    """A page around a body; both are HTML already."""
    return f"{head(title)}{body}{TAIL}"


def head(title: str) -> str:
    """A page up to its body; TAIL ends it."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style></head>\n<body>\n"
    )
