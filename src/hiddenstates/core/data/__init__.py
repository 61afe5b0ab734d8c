"""What is searched and what is asked, as tables that may be larger than memory. The one door to `datasets`."""

from datasets import Dataset

from hiddenstates.core.data.sources import open_dataset
from hiddenstates.core.data.tables import Row, parts, pinned, places, table
from hiddenstates.core.data.task import MISSING, PASSAGE_COLUMNS, QUERY_COLUMNS, SPLITS, KnowledgeBase, Task

__all__ = [
    "MISSING",
    "PASSAGE_COLUMNS",
    "QUERY_COLUMNS",
    "SPLITS",
    "Dataset",
    "KnowledgeBase",
    "Row",
    "Task",
    "open_dataset",
    "parts",
    "pinned",
    "places",
    "table",
]
