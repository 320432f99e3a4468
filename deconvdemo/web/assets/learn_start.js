// Each figure begins here; what stands in the files before are only its parts.

startGrid();
startCheckerboard();
startFourier();
startSubpixel();
startPhotos();
startPage();
