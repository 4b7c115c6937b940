from .corpora import CORPORA as CORPORA
from .corpora import documents as documents
from .tokens import prepare as prepare
