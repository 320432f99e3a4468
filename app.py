"""The door: settings from the environment, the demo, launch. A Space's app_file."""

from deconvdemo.engine.restorer import Restorer
from deconvdemo.settings import Settings
from deconvdemo.ui.demo import launch
from deconvdemo.weights import Weights

if __name__ == "__main__":
    settings = Settings.from_environment()
    weights = Weights(repo=settings.weights_repo)
    launch(settings, Restorer.load(weights, settings.device, settings.precision, max_pixels=settings.max_pixels))
