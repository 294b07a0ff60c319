"""The three sample projects: one of each task type, from the simulated images in `sample_images/`."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

import microtasks
from microtasks.core.errors import NotFound, RowInvalid
from microtasks.engine.imports import importing
from microtasks.engine.operations import jobs as running
from microtasks.engine.projects import projects
from microtasks.engine.projects.projects import ProjectIn
from microtasks.engine.site import Site
from microtasks.engine.volunteers import tutorial
from microtasks.store import jobs
from microtasks.store.accounts import accounts
from microtasks.store.imports import batches
from microtasks.store.projects import projects as stored
from microtasks.store.tables import Project

#: In a clone it lies beside the package; an installed package has none, and looks where it is started.
FOLDER = Path(microtasks.__file__).resolve().parent.parent / "sample_images"
if not FOLDER.is_dir():
    FOLDER = Path("sample_images").absolute()
IMPORT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample project and the table of its tasks."""

    slug: str
    table: str
    form: dict[str, Any]
    # steps of its tutorial: (text, the id of a known task to try or "", said when right, said when not)
    steps: tuple[tuple[str, str, str, str], ...] = ()
    # its field guide: (option, text, picture below the samples, part of it: x, y, half a side in px)
    guide: tuple[tuple[str, str, str, tuple[int, int, int] | None], ...] = ()


#: The last one made stands first on the home page.
SAMPLES = (
    Sample(
        "weather-in-old-ships-logs",
        "sentences.csv",
        {
            "name": "Weather in old ships' logs",
            "purpose": "Find the lines that tell the weather: they let us know the climate of the past.",
            "instructions": """\
Officers wrote down what happened on board, day by day. Does this line say what the **weather** was: wind, \
rain, snow, fog, ice, heat or cold, the state of the sky, the height of the barometer?

Go by the words alone; there is no need to know ships.
""",
            "thanks": "Lines that tell the weather go on to be dated and measured. Three people who agree "
            "are enough; where they do not, two more are asked.",
            "topic": "History",
            "task_type": "question",
            "redundancy": 5,
            "answers_min": 3,
            "config": {
                "fields": [
                    {
                        "id": "answer",
                        "kind": "choice",
                        "label": "Does this line say what the weather was?",
                        "choices": [{"id": "yes", "label": "Yes"}, {"id": "no", "label": "No"}],
                    }
                ]
            },
        },
        steps=(
            (
                "You see **one line of a ship's log** at a time. Say whether it tells what the weather was: "
                "wind, rain, fog, heat, the sky, the barometer.",
                *("", "", ""),
            ),
            (
                "Try it.",
                "log-03",
                "Yes: fog is weather, and it lasted all morning.",
                "Fog is weather, too, so the answer is yes.",
            ),
            (
                "And this one.",
                "log-14",
                "No weather at all. On to the real ones.",
                "This is life on board; nothing in it tells the weather.",
            ),
        ),
    ),
    Sample(
        "landforms-from-above",
        "landforms.csv",
        {
            "name": "Landforms from above",
            "purpose": "Say what shapes the ground: a map of wind, water and impacts grows from your tags.",
            "instructions": """\
Look at the picture and choose **everything** that you see in it.

- **Dunes**: sand in waves or crescents, heaped up by wind.
- **Channels**: winding valleys, often with side valleys.
- **Craters**: round hollows with a rim.
- **Layers**: steps or bands of rock, one above the other.
- **Smooth**: hardly any relief at all.

Several can be right. If none fits, say so: that is an answer, too.
""",
            "thanks": "Each picture is seen by five people. What most of them saw goes on the map.",
            "topic": "Space",
            "task_type": "tagging",
            "redundancy": 5,
            "config": {
                "tags": [
                    {"id": "dunes", "label": "Dunes", "help": "Sand in waves or crescents."},
                    {"id": "channels", "label": "Channels", "help": "Winding valleys, as rivers cut them."},
                    {"id": "craters", "label": "Craters", "help": "Round hollows with a rim."},
                    {"id": "layers", "label": "Layers", "help": "Steps or bands of rock."},
                    {"id": "smooth", "label": "Smooth", "help": "Hardly any relief."},
                ]
            },
        },
        steps=(
            (
                "Each picture shows ground seen from above. Choose **everything** that shaped it; the "
                "examples below the question help.",
                *("", "", ""),
            ),
            (
                "Try this one.",
                "tile-01",
                "Dunes: sand that the wind has heaped up.",
                "Look for the crests that run side by side: these are dunes, and nothing else.",
            ),
            (
                "One more.",
                "tile-04",
                "Layers it is: steps of rock, one above the other.",
                "The bands are steps of rock, one above the other: layers.",
            ),
        ),
        guide=tuple(
            (option, text, f"landforms/tile-0{n}.webp", None)
            for n, (option, text) in enumerate(
                (
                    ("dunes", "Sand in waves or crescents, heaped up by wind."),
                    ("channels", "Winding valleys, often with side valleys."),
                    ("craters", "Round hollows with a rim."),
                    ("layers", "Steps or bands of rock, one above the other."),
                    ("smooth", "Hardly any relief at all."),
                ),
                start=1,
            )
        ),
    ),
    Sample(
        "craters-on-a-plain",
        "craters.csv",
        {
            "name": "Craters on a plain",
            "purpose": "Circle every crater: how many there are tells how old the ground is.",
            "instructions": """\
**How old is this ground?** Craters pile up with time, so counting them is the way to date a surface.

1. Press at the middle of a crater and drag to its rim. Move or resize the circle until it fits.
2. Choose what the crater looks like:
   - **Fresh**: sharp rim, deep shadow.
   - **Degraded**: worn rim, shallow, but still whole.
   - **Ghost**: hardly more than a ring.
3. Leave out what is too small: the circle turns green when it is large enough.

The sun shines from the upper left: in a crater that side lies in the shadow, and the side across is bright. \
In a hill it is the other way round.

No craters at all? Say **Nothing here**: that is an answer, too.
""",
            "thanks": "Each image is marked by six people. Their circles are merged into one catalogue of "
            "craters with the place, size and certainty of each, free for everyone to use.",
            "topic": "Space",
            "task_type": "marking",
            "redundancy": 6,
            "config": {
                "shape": "circle",
                "classes": [
                    {"id": "fresh", "label": "Fresh", "help": "Sharp rim, deep shadow."},
                    {"id": "degraded", "label": "Degraded", "help": "Worn rim, shallow, still whole."},
                    {"id": "ghost", "label": "Ghost", "help": "Hardly more than a ring."},
                ],
                "min_diameter_px": 14,
            },
        },
        steps=(
            (
                "A crater is a **round hollow with a rim**. The sun shines from the upper left: there the "
                "inside lies in shadow, and across it is bright. Press at the middle and drag to the rim.",
                *("", "", ""),
            ),
            (
                "Try it here: circle the craters that you see. The smallest ones are hard; "
                "nobody finds them all.",
                "plain-2",
                "That is how it is done. Others find what you missed.",
                "Look at the rings with a “!”: a shadow on the upper left, light across. Zoom in for "
                "the small ones.",
            ),
        ),
        guide=(
            ("fresh", "Sharp rim, deep shadow.", "craters/plain-1.webp", (558, 63, 55)),
            ("degraded", "Worn rim, shallow, still whole.", "craters/plain-1.webp", (555, 264, 80)),
            ("ghost", "Hardly more than a ring.", "craters/upland-1.webp", (96, 251, 55)),
        ),
    ),
)


def seed(site: Site) -> list[str]:
    """Make the sample projects, with their tasks, published; return their slugs.

    1. Make each project that is not there, owned by the site's operator.
    2. Import its table by the ordinary way, here and now, unless it has a batch already.
    3. Publish it, if it is still a draft.
    Doing it again changes nothing; where it was interrupted it goes on.
    Errors: NotFound when the sample images are not here, RowInvalid when they cannot be imported.
    """
    if not (FOLDER / SAMPLES[0].table).is_file():
        raise NotFound(
            f"The sample projects need the folder sample_images of the source code; {FOLDER} is not there. "
            "Start microtasks in the folder of the source code to get them."
        )
    for sample in SAMPLES:
        project = _project(site, sample)
        _import(site, project.id, sample)
        if project.state == "draft":
            _teach(site, project, sample)
            projects.publish(site, project.id)
    return [sample.slug for sample in SAMPLES]


def _project(site: Site, sample: Sample) -> Project:
    with site.db.session() as session:
        try:
            return stored.by_slug(session, sample.slug)
        except NotFound:
            operator = accounts.operator(session)
    return projects.create(site, operator.id if operator else None, ProjectIn(**sample.form))


def _teach(site: Site, project: Project, sample: Sample) -> None:
    """Give the project its tutorial and field guide, and let volunteers know how they did on known tasks."""
    project_id = project.id
    gold_tasks = {name: task_id for task_id, name in tutorial.known_tasks(site, project_id)}
    steps = (
        tutorial.Step(text=text, task_id=gold_tasks.get(name), right=right, wrong=wrong)
        for text, name, right, wrong in sample.steps
    )
    pictures = tutorial.add_pictures(
        site, [(_cut_out(name, part), ".png") for *_, name, part in sample.guide]
    )
    guide = (
        tutorial.Example(option=option, text=text, media_id=media_id)
        for (option, text, *_), media_id in zip(sample.guide, pictures, strict=True)
    )
    made = tutorial.Tutorial(steps=tuple(steps), guide=tuple(guide))
    tutorial.change(site, project_id, made, tells_known=True, tells_consensus=False)


def _cut_out(name: str, part: tuple[int, int, int] | None) -> bytes:
    """A sample picture, or a square part of it, as PNG."""
    content = io.BytesIO()
    with Image.open(FOLDER / name) as picture:
        x, y, half = part or (picture.width // 2, picture.height // 2, picture.width // 2)
        cut = picture.crop((x - half, y - half, x + half, y + half))
        cut.resize((320, 320)).save(content, "PNG")
    return content.getvalue()


def _import(site: Site, project_id: int, sample: Sample) -> None:
    """Import the table unless that was done; return when its batch is done, whoever does it."""
    with site.db.session() as session:
        batch_ids = [batch.id for batch in batches.list_for_project(session, project_id)]
    batch_id = batch_ids[0] if batch_ids else importing.create_batch(site, project_id, _uploads(sample))
    deadline = time.monotonic() + IMPORT_SECONDS
    while True:
        with site.db.connection() as connection:
            waiting = jobs.waiting(connection, site.settings.job_stale_seconds)
        for job_id in waiting:
            running.run(site, job_id)
        with site.db.session() as session:
            batch = batches.get(session, batch_id)
        if batch.state == "done" and not batch.n_failed:
            return
        if batch.state in ("done", "failed") or time.monotonic() > deadline:
            raise RowInvalid(
                f"The sample {sample.table} could not be imported: {batch.error or 'see its batch'}."
            )
        time.sleep(0.1)


def _uploads(sample: Sample) -> list[importing.Upload]:
    table = FOLDER / sample.table
    with open(table, newline="", encoding="utf-8") as file:
        names = [row["image"] for row in csv.DictReader(file) if row.get("image")]
    return [importing.Upload(name, FOLDER / name) for name in (sample.table, *names)]
