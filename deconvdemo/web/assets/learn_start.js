// Each figure begins here; what stands in the files before are only its parts.

startGrid();
startCheckerboard();
startFourier();
startSubpixel();
startFeatures();
startTiles();
if ($("generated")) startGenerated();
startPhotos();
startPage();
