// Backup: the whole content of a store as one file, whichever engine it is in, and back again.
//
// The file is text: a line about it, a line for each entry, and a line with the SHA-256 of all
// before (docs/formats/store.md). What is written here is read by `perigee store` alone, which
// control does not run beside; `load` may be killed at any time and begun again.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace perigee::store {

std::string encode_backup(const Listing& content);
// data_loss where anything of it is not as it was written.
Result<Listing> parse_backup(std::string_view text);

// What a store must be for other content to be put into it.
enum class Target { empty, anything };

// Makes `into` hold exactly `content`, in the order of its revisions, and reads it back. Until all
// of it is there, `into` has the key kLoadingKey, which control refuses to start with. Where it has
// that of the same content already, it goes on; where it holds this content, nothing is done.
async::Task<Result<void>> load(Store& into, Listing content, Target target);

// The key of a load that has not ended.
inline constexpr std::string_view kLoadingKey = "/loading";
// An error that says what to do, where `store` has it.
async::Task<Result<void>> check_loaded(Store& store);

}  // namespace perigee::store
