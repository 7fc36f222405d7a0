// complaint_of: why an order failed, out of what the ACME client has written, in one line. Pure.
#pragma once

#include <string>
#include <vector>

namespace perigee::acme {

// `messages`: its lines. What the authority says of it (the problem document's `detail`) wins over
// the client's own words, of which the first is nearest to the cause.
std::string complaint_of(const std::vector<std::string>& messages);
// The authority knows no account of this key.
bool lacks_account(const std::vector<std::string>& messages);

}  // namespace perigee::acme
