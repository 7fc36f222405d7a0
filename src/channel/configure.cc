// The codec of Configure: records of u16 tag, u32 length, value; an unknown tag is skipped, so that
// an older init boots under a newer host. The record with tag 0 ends the message, so that its last
// byte is never one that begins the host's magic.
#include <algorithm>

#include "channel/codec.h"
#include "channel/limits.h"
#include "channel/wire.h"

namespace perigee::channel {
namespace {

enum class Tag : std::uint16_t {
  kEnd = 0,
  kArgv = 1,
  kEnv = 2,
  kUser = 3,
  kWorkdir = 4,
  kHostname = 5,
  kAddress = 6,
  kGateway = 7,
  kNameserver = 8,
  kHost = 9,
  kLayers = 10,
  kUpperDisk = 11,
  kMtu = 12,
  kTty = 13,
  kVolume = 20,
  kVolumeKey = 21,
  kGatewayMac = 28,
};

void put_record(std::string& out, Tag tag, std::string_view value) {
  put(out, static_cast<std::uint16_t>(tag));
  put(out, static_cast<std::uint32_t>(value.size()));
  out.append(value);
}
void put_number(std::string& out, Tag tag, std::uint32_t value) {
  std::string bytes;
  put(bytes, value);
  put_record(out, tag, bytes);
}
void put_all(std::string& out, Tag tag, const std::vector<std::string>& values) {
  for (const std::string& value : values) {
    put_record(out, tag, value);
  }
}

using Applied = Decoded<bool>;  // the value says nothing: true

Applied append(std::vector<std::string>& list, std::string_view value) {
  if (list.size() >= kMaxItems) {
    return std::unexpected(DecodeError::kTooMany);
  }
  list.emplace_back(value);
  return true;
}
Applied assign(std::string& field, std::string_view value) {
  field = std::string(value);
  return true;
}
Decoded<std::uint32_t> u32(std::string_view value) {
  Reader in(value);
  const auto number = in.get<std::uint32_t>();
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  return number;
}

Applied apply_number(Configure& message, Tag tag, std::string_view value) {
  const Decoded<std::uint32_t> number = u32(value);
  if (!number) {
    return std::unexpected(number.error());
  }
  if (tag == Tag::kLayers && *number > kMaxLayers) {
    return std::unexpected(DecodeError::kTooMany);
  }
  switch (tag) {
    case Tag::kLayers:
      message.layers = *number;
      break;
    case Tag::kUpperDisk:
      message.upper_disk = *number;
      break;
    case Tag::kMtu:
      message.mtu = *number;
      break;
    default:
      message.tty = *number != 0;
      break;
  }
  return true;
}

Applied append_volume(Configure& message, std::string_view value) {
  if (message.volumes.size() >= kMaxVolumes) {
    return std::unexpected(DecodeError::kTooMany);
  }
  Reader in(value);
  VolumeMount mount{.disk = in.get<std::uint32_t>(), .path = {}};
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  mount.path = std::string(value.substr(sizeof mount.disk));
  message.volumes.push_back(std::move(mount));
  return true;
}

// Of a volume that was named before.
Applied set_volume_key(Configure& message, std::string_view value) {
  Reader in(value);
  const auto disk = in.get<std::uint32_t>();
  const std::string_view key = in.take(kVolumeKeyBytes);
  if (!in.ok()) {
    return std::unexpected(DecodeError::kTruncated);
  }
  const auto volume = std::ranges::find(message.volumes, disk, &VolumeMount::disk);
  if (volume == message.volumes.end()) {
    return std::unexpected(DecodeError::kBadValue);
  }
  volume->key = std::string(key);
  return true;
}

Applied apply(Configure& message, Tag tag, std::string_view value) {
  switch (tag) {
    case Tag::kArgv:
      return append(message.argv, value);
    case Tag::kEnv:
      return append(message.env, value);
    case Tag::kUser:
      return assign(message.user, value);
    case Tag::kWorkdir:
      return assign(message.workdir, value);
    case Tag::kHostname:
      return assign(message.hostname, value);
    case Tag::kAddress:
      return append(message.addresses, value);
    case Tag::kGateway:
      return append(message.gateways, value);
    case Tag::kNameserver:
      return append(message.nameservers, value);
    case Tag::kHost:
      return append(message.hosts, value);
    case Tag::kGatewayMac:
      return assign(message.gateway_mac, value);
    case Tag::kLayers:
    case Tag::kUpperDisk:
    case Tag::kMtu:
    case Tag::kTty:
      return apply_number(message, tag, value);
    case Tag::kVolume:
      return append_volume(message, value);
    case Tag::kVolumeKey:
      return set_volume_key(message, value);
    default:
      return true;
  }
}

}  // namespace

std::string encode(const Configure& message) {
  std::string out;
  put_all(out, Tag::kArgv, message.argv);
  put_all(out, Tag::kEnv, message.env);
  put_record(out, Tag::kUser, message.user);
  put_record(out, Tag::kWorkdir, message.workdir);
  put_record(out, Tag::kHostname, message.hostname);
  put_all(out, Tag::kAddress, message.addresses);
  put_all(out, Tag::kGateway, message.gateways);
  put_all(out, Tag::kNameserver, message.nameservers);
  put_all(out, Tag::kHost, message.hosts);
  put_number(out, Tag::kLayers, message.layers);
  if (message.upper_disk) {
    put_number(out, Tag::kUpperDisk, *message.upper_disk);
  }
  put_number(out, Tag::kMtu, message.mtu);
  put_number(out, Tag::kTty, message.tty ? 1 : 0);
  for (const VolumeMount& mount : message.volumes) {
    std::string disk;
    put(disk, mount.disk);
    put_record(out, Tag::kVolume, disk + mount.path);
    if (!mount.key.empty()) {
      put_record(out, Tag::kVolumeKey, disk + mount.key);
    }
  }
  put_record(out, Tag::kGatewayMac, message.gateway_mac);
  put_record(out, Tag::kEnd, {});
  return encode_frame(kConfigureType, out);
}

Decoded<Configure> decode_configure(std::string_view payload) {
  Configure message;
  Reader in(payload);
  while (in.ok()) {
    const auto tag = static_cast<Tag>(in.get<std::uint16_t>());
    const auto length = in.get<std::uint32_t>();
    const std::string_view value = in.take(length);
    if (!in.ok()) {
      break;
    }
    if (tag == Tag::kEnd) {
      return message;
    }
    const Applied applied = apply(message, tag, value);
    if (!applied) {
      return std::unexpected(applied.error());
    }
  }
  return std::unexpected(DecodeError::kTruncated);
}

}  // namespace perigee::channel
