BUILD = build/release
build:
	cmake --preset release && cmake --build --preset release
test: build
	ctest --preset release
