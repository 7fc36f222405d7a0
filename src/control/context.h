// Context: the parts of a running control that its frontends and reconcilers share, by reference.
// Composed once by Control; nothing here owns anything.
#pragma once

#include <string>

#include "acme/client.h"
#include "control/certificates.h"
#include "control/desired_table.h"
#include "control/drains.h"
#include "control/fence.h"
#include "control/images.h"
#include "control/key_sharing.h"
#include "control/load_table.h"
#include "control/node_health.h"
#include "control/observed_table.h"
#include "control/publisher.h"
#include "control/renewal_plan.h"
#include "control/route_sharing.h"
#include "control/router_link.h"
#include "control/wake_refusals.h"
#include "control/worker_link.h"
#include "secrets/key_file.h"
#include "sys/host.h"

namespace perigee::control {

// Times of a deploy, of an order for a certificate, and of a key's end; tests shorten them.
struct DeployTimes {
  Duration start = 600s;  // from a machine's creation to its app running: pull, disks, boot
  // From the app running to its port answering.
  Duration listen = 120s;
  Duration elsewhere = 45s;       // the same for an app that is known to listen, but not there
  Duration stable = 2s;           // an app without services must run this long to count as well
  Duration drain = 2s;            // between the switch of routes and the end of the old machines
  Duration challenge = 5s;        // for routers to have heard of an authority's question
  Duration key_retirement = 10s;  // unused for so long: longer than nodes take to report
};

struct Context {
  sys::Host& host;
  DesiredTable& desired;
  ObservedTable& observed;
  async::Notify& changed;  // of desired or observed state
  Publisher& publisher;
  RouteSharing& sharing;
  Images& images;
  WorkerLink& worker;
  RouterLink& routers;
  Certificates& certificates;
  secrets::KeyFile& keys;
  KeySharing& key_sharing;
  LoadTable& loads;
  Drains& drains;
  WakeRefusals& refusals;
  Duration autostop_idle;
  SilenceTimes silence;
  DeployTimes times;
  acme::Client* authority = nullptr;  // null: none is configured
  AcmePolicy acme = {};
  const Fence* fence = nullptr;  // of the background task that uses this; API calls have none

  // Commits what the fence lets pass, and waits until `desired` shows it.
  async::Task<Result<void>> commit(store::Transaction transaction) const;
  Context fenced_by(const Fence& by) const;
};

}  // namespace perigee::control
