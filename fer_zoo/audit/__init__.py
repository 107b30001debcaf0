"""What is wrong with a data set, before anyone trains on it."""

from fer_zoo.audit.data_audit import Audit, audit
from fer_zoo.audit.label_noise import LabelNoise, find_label_noise

__all__ = ["Audit", "LabelNoise", "audit", "find_label_noise"]
