"""Public data sets: what there is, where it lies, and how to get it."""

from convnova.data.catalogue.folder import SplitFiles, TaskFiles, default_folder, locate
from convnova.data.catalogue.tables import (
    DataFile,
    DataSet,
    Task,
    catalogue,
    chosen_tasks,
    find_task,
    suite_tasks,
)

__all__ = [
    "DataFile",
    "DataSet",
    "SplitFiles",
    "Task",
    "TaskFiles",
    "catalogue",
    "chosen_tasks",
    "default_folder",
    "find_task",
    "locate",
    "suite_tasks",
]
