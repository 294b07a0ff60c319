"""The routes under /my for the API's description of itself: with an API token, for owners and researchers."""

from __future__ import annotations

from typing import Any

from microtasks.engine.exports.registry import FORMATS
from microtasks.engine.tabular.archive import COMPRESSIONS, ZIP_MIME
from microtasks.web.api import token_models as models
from microtasks.web.api.operation import Operation

PAGE: dict[str, dict[str, Any]] = {
    "after": {"type": "string", "description": "`next` of the page before."},
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
}
#: What a table's rows may be chosen by, and how its files are written.
ROWS: dict[str, dict[str, Any]] = {
    **PAGE,
    "after": {"type": "string", "description": "`next` of the page before, or `last` of another day."},
    "state": {
        "type": "string",
        "enum": ["open", "retired"],
        "description": "Only tasks in this state: for the tables items, consensus and tasks.",
    },
    "since": {
        "type": "string",
        "format": "date-time",
        "description": "Only rows that were written then or later.",
    },
}
FILES: dict[str, dict[str, Any]] = {
    "images": {"type": "string", "enum": ["1"], "description": "The images' files too, where they fit."},
    "language": {"type": "string", "description": "excel-csv: whose separator and decimal sign (BCP 47)."},
}
#: What an export's file may be: a format's own kind, a ZIP of several files, a compressed one.
FILE_MIMES = tuple(
    sorted(
        {format.mime.partition(";")[0] for format in FORMATS.values()}
        | {ZIP_MIME}
        | {mime for _, mime in COMPRESSIONS.values() if mime}
    )
)
ID = {"type": "integer"}
READ = (304, 400, 401, 403, 404, 429)
WRITE = (401, 404, 409)
ROW = {
    **{
        "project": "weather-in-old-ships-logs",
        "task": 42,
        "external_id": "page-7",
        "contributor": "eb1f9e02a7c4d813",
    },
    **{"kind": "value", "status": "counted", "created_at": "2026-05-01T12:10:00.000Z", "seconds_spent": 3.2},
    **{"revision": 1, "answer": "yes", "revised_at": None, "config_version": 1, "file_name": "page-7.jpg"},
}

TOKEN = (
    Operation(
        "get",
        "/my/projects",
        "listMyProjects",
        "Projects that I own or am a member of",
        models.MyProjectsOut,
        problems=(304, 400, 401, 429),
        query=PAGE,
        scope="read",
        role="any",
    ),
    Operation(
        "get",
        "/my/projects/{slug}",
        "getMyProject",
        "One of my projects: settings and progress",
        models.MyProjectOut,
        problems=READ,
        scope="read",
        role="researcher",
    ),
    Operation(
        "get",
        "/my/projects/{slug}/tables/{table}",
        "readTable",
        "A table a page at a time: items, answers, consensus, marks, tasks, contributors, sources",
        models.RowsOut,
        problems=READ,
        query=ROWS,
        path_parameters={"table": {"type": "string"}},
        scope="read",
        role="researcher",
        example={"rows": [ROW], "next": "~eyJ0YWJsZSI6ImFuc3dlcnMifQ"},
    ),
    Operation(
        "get",
        "/my/projects/{slug}/tables/{table}.{format}",
        "streamTable",
        "A whole table as one file, streamed: csv, jsonl, parquet and the others",
        None,
        problems=READ,
        query=FILES,
        path_parameters={"table": {"type": "string"}, "format": {"type": "string"}},
        scope="read",
        role="researcher",
        mimes=FILE_MIMES,
    ),
    Operation(
        "get",
        "/my/projects/{slug}/tasks/{task_id}/image",
        "getImage",
        "The file of a task's (first) image as it was uploaded",
        None,
        problems=READ,
        path_parameters={"task_id": ID},
        scope="read",
        role="researcher",
        mimes=(
            "image/jpeg",
            "image/png",
            "image/webp",
            "image/gif",
            "image/tiff",
            "image/avif",
            "image/heic",
        ),
    ),
    Operation(
        "get",
        "/my/projects/{slug}/code-book",
        "readCodeBook",
        "What each column of each table means",
        models.CodeBookOut,
        problems=READ,
        scope="read",
        role="researcher",
    ),
    Operation(
        "get",
        "/my/projects/{slug}/figures",
        "readFigures",
        "The figures of the dashboard",
        models.FiguresOut,
        problems=READ,
        scope="read",
        role="researcher",
    ),
    Operation(
        "get",
        "/my/projects/{slug}/batches",
        "listBatches",
        "Uploads, newest first",
        models.BatchesOut,
        problems=READ,
        query=PAGE,
        scope="read",
        role="researcher",
    ),
    Operation(
        "post",
        "/my/projects/{slug}/batches",
        "addBatch",
        "Upload tasks: files as on the upload page; a worker makes the tasks",
        models.BatchOut,
        problems=WRITE,
        scope="import",
        role="collaborator",
        form={
            "type": "object",
            "required": ["files"],
            "properties": {
                "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
                "tile_px": {"type": "integer"},
                "overlap_px": {"type": "integer"},
                "encoding": {
                    "type": "string",
                    "description": "Of the table, as Python names it: cp1251, cp932. Without it: found.",
                },
                "header_line": {"type": "integer", "description": "The line that names the columns."},
                "sheet": {"type": "string", "description": "The sheet of a spreadsheet; the first without."},
            },
        },
        status="202",
    ),
    Operation(
        "get",
        "/my/projects/{slug}/batches/{batch_id}",
        "getBatch",
        "How far an upload is",
        models.BatchOut,
        problems=READ,
        path_parameters={"batch_id": ID},
        scope="read",
        role="researcher",
    ),
    Operation(
        "get",
        "/my/projects/{slug}/batches/{batch_id}/failures",
        "listFailures",
        "Rows of an upload that failed, and why",
        models.FailuresOut,
        problems=READ,
        query=PAGE,
        path_parameters={"batch_id": ID},
        scope="read",
        role="researcher",
    ),
    Operation(
        "get",
        "/my/projects/{slug}/exports",
        "listExports",
        "Exports that were asked for, newest first",
        models.ExportsOut,
        problems=READ,
        query=PAGE,
        scope="read",
        role="researcher",
    ),
    Operation(
        "post",
        "/my/projects/{slug}/exports",
        "requestExport",
        "Ask for an export; a worker writes it",
        models.ExportOut,
        models.ExportIn,
        problems=WRITE,
        scope="read",
        role="researcher",
        status="202",
    ),
    Operation(
        "get",
        "/my/projects/{slug}/exports/{export_id}",
        "getExport",
        "How far an export is",
        models.ExportOut,
        problems=READ,
        path_parameters={"export_id": ID},
        scope="read",
        role="researcher",
    ),
    Operation(
        "get",
        "/my/projects/{slug}/exports/{export_id}/file",
        "getExportFile",
        "The file of an export that is done",
        None,
        problems=(*READ, 409),
        path_parameters={"export_id": ID},
        scope="read",
        role="researcher",
        mimes=FILE_MIMES,
    ),
    Operation(
        "post",
        "/my/projects/{slug}/state",
        "moveProject",
        "Publish, pause, resume or archive",
        models.MovedOut,
        models.MoveIn,
        problems=WRITE,
        scope="manage",
        role="collaborator",
    ),
)
