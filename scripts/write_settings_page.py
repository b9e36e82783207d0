"""Write docs/settings.md and docs/schema/ from the models that read a person's files."""

import json
from pathlib import Path

from kollama2.study.json_schema import FILES, json_schema
from kollama2.study.pages import settings_page

DOCS = Path(__file__).parent.parent / "docs"

(DOCS / "settings.md").write_text(settings_page(), encoding="utf-8")
for kind in FILES:
    text = json.dumps(json_schema(kind), ensure_ascii=False, indent=2)
    (DOCS / "schema" / f"{kind}.json").write_text(text + "\n", encoding="utf-8")
