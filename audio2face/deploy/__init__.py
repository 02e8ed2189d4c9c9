"""Deployment: a trained network as ONNX, checked against torch, and a training run packed into a model folder.

How it is used::

    plan = make_plan(configuration.dataset, configuration.train, configuration.inference, network.settings)
    export_run(run_folder, network, plan)           # training does so at its end
    export_again(run_folder, inference)             # from the run's files alone, at any time
    package_run(run_folder, target, parameters, roots, preproc_root)     # with what preprocessing made of the actors
"""

from audio2face.deploy.export import export_again, export_run
from audio2face.deploy.package import package_run
from audio2face.deploy.plan import ExportPlan, make_plan
from audio2face.deploy.record import ExportRecord

__all__ = ["ExportPlan", "ExportRecord", "export_again", "export_run", "make_plan", "package_run"]
