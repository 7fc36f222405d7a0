# perigee_module(NAME DEPS a b … [LIBRARIES lib …]): one folder = one static library perigee_NAME.
#
#   *.cc         the library
#   *_test.cc    one doctest binary NAME_test, run by ctest
#   *_fuzz.cc    one program each: with PERIGEE_FUZZ a libFuzzer target, otherwise it replays its
#                corpus (corpus/<fuzz name>/*) under ctest
#   *_bench.cc   one Google Benchmark program NAME_bench
#
# DEPS are modules whose headers this folder may include (checked by tools/tidy). LIBRARIES are
# what its wrapper files link.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)

function(perigee_module name)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBRARIES;TEST_DEPS" ${ARGN})
  file(GLOB all CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(sources ${all})
  list(FILTER sources EXCLUDE REGEX "_(test|fuzz|bench)\\.cc$")
  set(tests ${all})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  set(fuzzers ${all})
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  set(benches ${all})
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")

  list(TRANSFORM ARG_DEPS PREPEND perigee_)
  list(TRANSFORM ARG_TEST_DEPS PREPEND perigee_)
  if(sources)
    add_library(perigee_${name} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(perigee_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(perigee_${name} ${scope} ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(perigee_${name} ${scope} ${ARG_DEPS} ${ARG_LIBRARIES})
  if(tests AND PERIGEE_UNIT_TESTS)
    add_executable(${name}_test ${tests} ${CMAKE_SOURCE_DIR}/cmake/doctest_main.cc)
    target_link_libraries(${name}_test PRIVATE perigee_${name} ${ARG_TEST_DEPS})
    add_test(NAME ${name} COMMAND ${name}_test)
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 120)
  endif()
  if(NOT PERIGEE_UNIT_TESTS)
    set(fuzzers)
  endif()
  foreach(source ${fuzzers})
    perigee_fuzz_target(${name} ${source})
  endforeach()
  if(benches)
    find_package(benchmark REQUIRED)
    add_executable(${name}_bench EXCLUDE_FROM_ALL ${benches})
    target_link_libraries(${name}_bench PRIVATE perigee_${name} benchmark::benchmark_main)
  endif()
endfunction()

function(perigee_fuzz_target module source)
  get_filename_component(fuzz ${source} NAME_WE)
  add_executable(${fuzz} ${source})
  target_link_libraries(${fuzz} PRIVATE perigee_${module} ${ARG_TEST_DEPS})
  if(PERIGEE_FUZZ)
    target_link_options(${fuzz} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${fuzz} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/fuzz_replay_main.cc)
    add_test(NAME ${fuzz} COMMAND ${fuzz} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${fuzz})
    set_tests_properties(${fuzz} PROPERTIES LABELS unit TIMEOUT 120)
  endif()
endfunction()
