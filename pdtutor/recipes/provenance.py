"""What made a folder: `recipe.json`, written into it before anything trains."""

import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pdtutor.devices import processor
from pdtutor.files import read_sealed, write_sealed
from pdtutor.processes import on_main
from pdtutor.recipes.settings import settings
from pdtutor.validate import differences, user_path

FILE = "recipe.json"
FORMATS = (None, "pdtutor recipe 2")  # before, there were none


@on_main
def sign(out: Path, name: str, recipe: Any, *, scale: str, seeds: int, command: str, device: str, resume: bool) -> None:
    """Write into the folder which recipe, with which settings, seeds and versions, makes it.

    A resume adds its own command, date, device and versions to `starts`, and leaves the rest as it is. A folder that
    holds nothing else yet may be signed anew, and one without `recipe.json`, as 0.1.0 left it, may be resumed.

    Args:
        out: the folder; it is made if it isn't there.
        name: the recipe's name.
        recipe: the recipe itself.
        scale: the scale that its other settings come from.
        seeds: number of seeds, counted from 0.
        command: the command that was given.
        device: the device that was asked for; each run.json below says which one was used.
        resume: whether an earlier run in this folder goes on.

    Raises ValueError if the folder holds another recipe's results, or this one's unless it is resumed with the same
    settings and seeds. The device may differ.
    """
    out = user_path(out)
    mine = {"recipe": name, "seeds": seeds, **settings(recipe)}
    mine = json.loads(json.dumps(mine))  # tuples are lists there
    start = {
        "command": command,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device,
        "machine": f"{processor()}, {platform.platform()}",
        "versions": {"python": platform.python_version()} | {of: version(of) for of in ("pdtutor", "torch", "numpy")},
    }
    starts = [start]
    if (out / FILE).exists() and any(not path.name.startswith((".", FILE)) for path in out.iterdir()):
        earlier = read_sealed(out / FILE, FORMATS)
        theirs = {"recipe": earlier["recipe"], "seeds": earlier["seeds"], **earlier["settings"]}
        if theirs["recipe"] != name:
            raise ValueError(f"{out} holds a run of {theirs['recipe']}, not of {name}: choose another folder")
        if not resume:
            raise ValueError(f"{out} already holds a run of {name}: choose another folder, or resume it with --resume")
        if different := differences(theirs, mine):
            raise ValueError(f"{out} holds a run of {name} with other settings, so it can't be resumed: {different}")
        starts = [*earlier["starts"], start]
        scale = earlier["scale"]
    out.mkdir(parents=True, exist_ok=True)
    content = {"format": FORMATS[-1], "recipe": mine.pop("recipe"), "scale": scale, "seeds": mine.pop("seeds")}
    write_sealed(out / FILE, content | {"settings": mine, "starts": starts})
