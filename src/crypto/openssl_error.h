// The newest entry of OpenSSL's error queue of this thread as an Error. Private to crypto.
#pragma once

#include <string_view>

#include "base/result.h"

namespace perigee::crypto {

// "WHAT: reason"; empties the queue.
Error openssl_error(Code code, std::string_view what);

}  // namespace perigee::crypto
