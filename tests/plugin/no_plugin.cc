// A shared object that is no plugin library.
extern "C" int nothing();
int nothing() {
  return 0;
}
