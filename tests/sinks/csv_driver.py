"""A pump in small, as a program to be killed: `python csv_driver.py FOLDER`.

`FOLDER/plan.json` holds the sink's settings and the fetches of a log, each a list of writes. After a fetch the place in
the log and the dead letters are replaced as one file, as a cursor commits them; so a killed driver that is started
again gets the whole fetch again. While the sink is unavailable it tries again, up to the number of times in the plan.
With `"start": true` it opens the sink, which recovers, and does nothing else.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from pumpkit.config import Meta, PumpConfig
from pumpkit.errors import PartialWrite, Unavailable
from pumpkit.plugins import Sink


def main(folder: Path) -> None:
    """Carry the rest of the plan to the sink."""
    plan = json.loads((folder / "plan.json").read_text())
    cursor = folder / "cursor.json"
    state: dict[str, Any] = json.loads(cursor.read_text()) if cursor.exists() else {"place": 0, "dead": []}
    sink = Sink.open(PumpConfig(name="audit", type="csv"), Meta({"csv-dir": "out", **plan["meta"]}, base=folder))
    sink.init()
    if plan.get("start"):
        return
    tries = plan["tries"]
    for fetch in plan["fetches"][state["place"] :]:
        dead = []
        for write in fetch:
            while True:
                try:
                    sink.write([dict(record) for record in write["records"]], write["ids"], 10.0, write["late"])
                except PartialWrite as verdict:
                    dead += [write["ids"][index] for index in verdict.rejected]
                except Unavailable as verdict:
                    print(f"unavailable: {verdict}", flush=True)
                    tries -= 1
                    if tries < 0:
                        raise
                    continue
                break
        state = {"place": state["place"] + 1, "dead": state["dead"] + dead}
        new = cursor.with_suffix(".new")
        new.write_text(json.dumps(state))
        os.replace(new, cursor)
    sink.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
