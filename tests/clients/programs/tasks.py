"""A Celery application whose client has a connection before the worker forks its processes."""

import os
import time
from pathlib import Path

from celery import Celery
from celery.signals import worker_init

from shared_core.clients import HTTPClient

folder = Path(os.environ["BROKER"])
app = Celery("tasks", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": str(folder / "queue"),
        "data_folder_out": str(folder / "queue"),
        "control_folder": str(folder / "control"),
    },
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
)
client = HTTPClient(os.environ["UPSTREAM"], token=False)


@worker_init.connect
def connect(**_: object) -> None:
    client.get("/before", headers={"X-Process": str(os.getpid())})


@app.task
def call(number: int) -> None:
    path = f"/task/{number}"
    text = client.get(path, headers={"X-Process": str(os.getpid())}).content.decode()
    time.sleep(0.05)  # long enough for the other process to take some, too
    (folder / "done" / str(number)).write_text("right" if text == path else f"{path} was answered with {text}")
