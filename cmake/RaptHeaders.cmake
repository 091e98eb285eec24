# Which library a header belongs to follows from what it includes, directly or through other headers of rapt:
# nlohmann_json is rapt::io's, utf8proc and PCRE2 rapt::text's, libpng and zlib are rapt::images's, MPI is rapt::mpi's;
# whatever needs none of them is rapt::rapt's. The rooms pretrained/ and pipelines/ have libraries of their own, above
# io and text, and onnx/ has one above rapt::rapt. Those headers of pretrained/ that need them belong to rapt::pretrained
# where there is rapt::text.

# rapt_needs(<header below include_dir> <variable>): sets the variable to those of io, text, images and mpi whose
# dependencies the header needs, and to pretrained, pipelines or onnx for a header of these rooms or one that includes
# such a header; sorted.
function(rapt_needs header variable)
  get_property(known GLOBAL PROPERTY "rapt_needs ${include_dir} ${header}" SET)
  if(NOT known)
    set(needs "")
    if(header MATCHES "^rapt/(pretrained|pipelines|onnx)/")
      list(APPEND needs "${CMAKE_MATCH_1}")
    endif()
    set_property(GLOBAL PROPERTY "rapt_needs ${include_dir} ${header}" "")
    file(STRINGS "${include_dir}/${header}" lines REGEX "^[ \t]*#[ \t]*include[ \t]*[<\"]")
    foreach(line IN LISTS lines)
      if(line MATCHES "[<\"]nlohmann/")
        list(APPEND needs io)
      elseif(line MATCHES "[<\"](utf8proc|pcre2)")
        list(APPEND needs text)
      elseif(line MATCHES "[<\"](png|zlib)\\.h")
        list(APPEND needs images)
      elseif(line MATCHES "[<\"]mpi\\.h")
        list(APPEND needs mpi)
      elseif(line MATCHES "[<\"](rapt/[^>\"]+)")
        rapt_needs("${CMAKE_MATCH_1}" more)
        list(APPEND needs ${more})
      endif()
    endforeach()
    list(REMOVE_DUPLICATES needs)
    list(SORT needs)
    set_property(GLOBAL PROPERTY "rapt_needs ${include_dir} ${header}" "${needs}")
  endif()
  get_property(needs GLOBAL PROPERTY "rapt_needs ${include_dir} ${header}")
  set(${variable} "${needs}" PARENT_SCOPE)
endfunction()

# rapt_sort_headers(<include dir>): sets core_headers, io_headers, text_headers, images_headers, mpi_headers,
# pretrained_headers, pretrained_text_headers for those of pretrained/ that need rapt::text, pipelines_headers and
# onnx_headers.
function(rapt_sort_headers include_dir)
  file(GLOB_RECURSE headers RELATIVE "${include_dir}" CONFIGURE_DEPENDS "${include_dir}/rapt/*.hpp")
  set(libraries core io text images mpi pretrained pretrained_text pipelines onnx)
  foreach(library IN LISTS libraries)
    set(${library} "")
  endforeach()
  foreach(header IN LISTS headers)
    rapt_needs("${header}" needs)
    list(JOIN needs "_" library)
    if(library STREQUAL "")
      set(library core)
    elseif("pipelines" IN_LIST needs AND NOT "images" IN_LIST needs)
      set(library pipelines)
    elseif(library MATCHES "^(io_)?pretrained(_text)?$")
      set(library "pretrained${CMAKE_MATCH_2}")
    elseif(NOT library IN_LIST libraries)
      message(FATAL_ERROR "${include_dir}/${header} needs what these libraries need: ${needs}. No library of rapt has "
        "all of it.")
    endif()
    list(APPEND ${library} "${include_dir}/${header}")
  endforeach()
  foreach(library IN LISTS libraries)
    set(${library}_headers "${${library}}" PARENT_SCOPE)
  endforeach()
endfunction()
