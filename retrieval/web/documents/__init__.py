"""What the API takes and gives, as types: the documents of the JSON contract, and those of the server."""

from retrieval.web.documents.answers import AlignmentResult, ComparisonResult, Matrix, QueryResult
from retrieval.web.documents.files import FileDocument, UploadDocument
from retrieval.web.documents.jobs import JobList, JobStatus, job_document
from retrieval.web.documents.library import (
    Failures,
    FileRef,
    GroupResult,
    IndexResult,
    Item,
    ItemDetails,
    Items,
    KeptFailure,
    WorkDocument,
    Works,
)
from retrieval.web.documents.requests import (
    AlignRequest,
    CompareRequest,
    IndexRequest,
    ItemSource,
    JobRequest,
    KeptSource,
    Merge,
    PathSource,
    QueryRequest,
    Source,
    Split,
    SwitchRequest,
    UploadSource,
    WorkName,
)
from retrieval.web.documents.server import ProblemDocument, Session, Status
from retrieval.web.documents.switcher import SwitchResult
from retrieval.web.documents.text import clean

__all__ = [
    "AlignRequest",
    "AlignmentResult",
    "CompareRequest",
    "ComparisonResult",
    "Failures",
    "FileDocument",
    "FileRef",
    "GroupResult",
    "IndexRequest",
    "IndexResult",
    "Item",
    "ItemDetails",
    "ItemSource",
    "Items",
    "JobList",
    "JobRequest",
    "JobStatus",
    "KeptFailure",
    "KeptSource",
    "Matrix",
    "Merge",
    "PathSource",
    "ProblemDocument",
    "QueryRequest",
    "QueryResult",
    "Session",
    "Source",
    "Split",
    "Status",
    "SwitchRequest",
    "SwitchResult",
    "UploadDocument",
    "UploadSource",
    "WorkDocument",
    "WorkName",
    "Works",
    "clean",
    "job_document",
]
