"""Models as files for other runtimes: ONNX, torch.export's archive, 8-bit integers."""

from fer_zoo.exporting.exporter import Exported, export

__all__ = ["Exported", "export"]
