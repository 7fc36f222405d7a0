// Uacme: the ACME client that Debian has as `uacme`, run for one order at a time.
//
//   Uacme client(host, {.directory_url = …, .folder = "/run/perigee/acme", .uid = …});
//
// It runs confined (sys/confinement.h) as a user of its own: it sees the programs of the host, its
// own folder, and in /etc what name look-ups need and the roots that it trusts. Its hook is a few
// lines of shell that say what is to be answered and wait for a word. It is killed, with all that
// it has started, when its order is given up. `folder` best is in memory (/run): the account's key
// lies there while an order is on its way. Owned by control's composition; its loop.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "acme/client.h"
#include "sys/host.h"

namespace perigee::acme {

struct UacmeSettings {
  std::string program = "uacme";
  std::string directory_url;  // of the authority
  std::string contact;        // an e-mail address; empty: none
  std::string roots_file;     // PEM: whom the authority's own TLS is checked against
  std::string folder;         // absolute; made, and emptied by `clear`
  uid_t uid = 0;
  gid_t gid = 0;
};

class Uacme : public Client {
 public:
  Uacme(sys::Host& host, UacmeSettings settings) : host_(host), settings_(std::move(settings)) {}

  // What orders left behind that were cut short. Before any order.
  async::Task<Result<void>> clear();
  async::Task<Result<std::string>> order(Order order, Prover& prover, Deadline deadline) override;

 private:
  // Where one order is worked on.
  struct Place {
    std::string folder;
    std::string etc() const { return folder + "/etc"; }
    std::string work() const { return folder + "/work"; }
    std::string root() const { return folder + "/root"; }
  };
  struct Ended {
    bool good = false;
    std::vector<std::string> messages;
  };
  async::Task<Result<void>> fill(const Place& place, const Order& order);
  async::Task<Result<void>> fill_etc(const Place& place);
  async::Task<Result<std::string>> carry_out(const Place& place, const Order& order,
                                             Prover& prover);
  async::Task<Result<Ended>> run(const Place& place, std::vector<std::string> words,
                                 const Order& order, Prover& prover);
  async::Task<Result<std::string>> answer(std::string line, const Order& order, Prover& prover,
                                          Ended& ended);

  sys::Host& host_;
  UacmeSettings settings_;
};

}  // namespace perigee::acme
