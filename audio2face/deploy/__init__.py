"""Deployment: a trained network as ONNX, checked against torch, and a training run packed into a model folder.

How it is used::

    export_run(run_folder, train, inference)        # from the run's files: training does so at its end
    package_run(run_folder, target, parameters, roots, preproc_root)     # with what preprocessing made of the actors
"""

from audio2face.deploy.export import ExportRecord, export_network, export_run, finish_export, make_plan
from audio2face.deploy.package import package_run
from audio2face.deploy.plan import ExportPlan

__all__ = [
    "ExportPlan",
    "ExportRecord",
    "export_network",
    "export_run",
    "finish_export",
    "make_plan",
    "package_run",
]
