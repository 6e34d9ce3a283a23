# kvasir_module(NAME [DEPS module...] [TEST_DEPS module...] [LIBRARIES target...] [START_ONLY regex])
#
# Makes the library target kvasir_NAME from the *.cc files of the folder that calls it and of its
# sub-folders (a main.cc is left out: it is a program), and the test program NAME_test from its
# *_test.cc files. Files ending in _fuzz.cc become fuzzers (see below), files ending in _bench.cc
# benchmark programs. DEPS are the modules that the library includes, TEST_DEPS those that only its
# tests, fuzzers and benchmarks include: tests/tidy/floors_test.cc reads this very line and holds it
# against every #include, in both directions. Sources that match START_ONLY run only when a program
# starts: they are compiled with -O1, which takes less time.
function(kvasir_module NAME)
  cmake_parse_arguments(ARG "" "START_ONLY" "DEPS;TEST_DEPS;LIBRARIES" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cc)
  set(tests ${sources})
  set(fuzzers ${sources})
  set(benches ${sources})
  list(FILTER sources EXCLUDE REGEX "(_(test|bench|fuzz)|/main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")

  list(TRANSFORM ARG_DEPS PREPEND kvasir_ OUTPUT_VARIABLE targets)
  list(TRANSFORM ARG_TEST_DEPS PREPEND kvasir_ OUTPUT_VARIABLE test_targets)
  if(sources)
    if(ARG_START_ONLY)
      set(start_only ${sources})
      list(FILTER sources EXCLUDE REGEX "${ARG_START_ONLY}")
      list(FILTER start_only INCLUDE REGEX "${ARG_START_ONLY}")
      kvasir_batches(start_only start_only)
      set_source_files_properties(${start_only} PROPERTIES COMPILE_OPTIONS -O1)
    endif()
    kvasir_batches(batch sources)
    add_library(kvasir_${NAME} STATIC ${sources} ${start_only})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # GCC 12 at -O3 may guess the callee of a virtual call. Where that is reached through a thunk
      # (a second base class) into which its body was inlined, GCC takes the first function that the
      # body calls for the callee: it compiled memcpy(this - 8, size, data), which are the arguments
      # of GrpcStream::on_data(), and net_test crashed. The code gave no cause: this is GCC's fault.
      target_compile_options(kvasir_${NAME} PRIVATE -fno-devirtualize-speculatively)
    endif()
    target_include_directories(kvasir_${NAME} PUBLIC ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(kvasir_${NAME} PUBLIC ${targets} ${ARG_LIBRARIES})
  else()
    add_library(kvasir_${NAME} INTERFACE)
    target_include_directories(kvasir_${NAME} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(kvasir_${NAME} INTERFACE ${targets} ${ARG_LIBRARIES})
  endif()

  if(KVASIR_FUZZ)
    if(NOT TARGET fuzzers)
      add_custom_target(fuzzers)
    endif()
    foreach(file ${fuzzers})
      get_filename_component(fuzzer ${file} NAME_WE)
      add_executable(${fuzzer} ${file})
      target_link_libraries(${fuzzer} PRIVATE kvasir_${NAME} ${test_targets})
      target_link_options(${fuzzer} PRIVATE -fsanitize=fuzzer)
      set_target_properties(${fuzzer} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/fuzzers)
      add_dependencies(fuzzers ${fuzzer})
    endforeach()
    return()
  endif()
  if(tests)
    kvasir_test(${NAME}_test SOURCES ${tests} LIBRARIES kvasir_${NAME} ${test_targets})
  endif()
  foreach(file ${benches})
    get_filename_component(bench ${file} NAME_WE)
    add_executable(${bench} ${file})
    target_link_libraries(${bench} PRIVATE kvasir_${NAME} ${test_targets} benchmark::benchmark)
  endforeach()
endfunction()

# kvasir_batches(NAME LIST)
#
# Replaces the sources in LIST by files NAME_0.cc, NAME_1.cc, ... in the build folder that each include
# up to KVASIR_BATCH of them, so that the headers they share are read once. (CMake's own UNITY_BUILD
# writes absolute paths, with which ccache would find nothing that another clone compiled.)
function(kvasir_batches NAME LIST)
  if(KVASIR_BATCH LESS 2)
    return()
  endif()
  set(batches "")
  set(number 0)
  list(LENGTH ${LIST} rest)
  while(rest GREATER 0)
    list(SUBLIST ${LIST} 0 ${KVASIR_BATCH} files)
    list(REMOVE_ITEM ${LIST} ${files})
    list(TRANSFORM files REPLACE "^${PROJECT_SOURCE_DIR}/src/(.*)$" "#include \"\\1\"\n")
    list(JOIN files "" includes)
    set(batch ${CMAKE_CURRENT_BINARY_DIR}/${NAME}_${number}.cc)
    file(CONFIGURE OUTPUT ${batch} CONTENT "${includes}" @ONLY)
    list(APPEND batches ${batch})
    math(EXPR number "${number} + 1")
    list(LENGTH ${LIST} rest)
  endwhile()
  set(${LIST} ${batches} PARENT_SCOPE)
endfunction()

# kvasir_test(NAME SOURCES file... LIBRARIES target... [TIMEOUT seconds])
function(kvasir_test NAME)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${NAME} ${ARG_SOURCES})
  target_compile_options(${NAME} PRIVATE $<$<CONFIG:Release>:-O1>)  # -O3 takes half as long again
  target_link_libraries(${NAME} PRIVATE ${ARG_LIBRARIES} GTest::gmock GTest::gtest_main)
  add_test(NAME ${NAME} COMMAND ${NAME})
  set_tests_properties(${NAME} PROPERTIES TIMEOUT ${ARG_TIMEOUT} ENVIRONMENT
    "KVASIR_BINARY=$<TARGET_FILE:kvasir>;KVASIR_SOURCE_DIR=${PROJECT_SOURCE_DIR}")
endfunction()
