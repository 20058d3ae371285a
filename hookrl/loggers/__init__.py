"""Where metrics go, behind one interface."""

from hookrl.loggers.base import Logger
from hookrl.loggers.csv import CSVLogger, read_metrics
from hookrl.loggers.foreign import ForeignLogger, as_logger
from hookrl.loggers.group import LoggerGroup
from hookrl.loggers.learning_curve import Curve, draw_curves, draw_learning_curve
from hookrl.loggers.run_directory import RunDirectory
from hookrl.loggers.tensorboard import TensorBoardLogger

__all__ = [
    "CSVLogger",
    "Curve",
    "ForeignLogger",
    "Logger",
    "LoggerGroup",
    "RunDirectory",
    "TensorBoardLogger",
    "as_logger",
    "draw_curves",
    "draw_learning_curve",
    "read_metrics",
]
