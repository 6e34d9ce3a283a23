// Who watches the watchman: a picker that behaves passes everything, and each planted fault is
// found by the checks that are there for it, and by no other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <thread>

#include "conformance/suite.h"
#include "faulty_picker.h"
#include "net/grpc/grpc_health.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using Ids = std::set<std::string>;

const std::vector<std::string> kPool = {"192.0.2.1:8000", "192.0.2.2:8000", "[2001:db8::3]:8001"};

// A picker on a loop and a thread of its own.
class RunningPicker {
 public:
  explicit RunningPicker(Fault fault, std::vector<std::string> pool = kPool)
      : picker_(std::move(pool), fault), loop_(std::move(EventLoop::create().value())) {
    std::vector<GrpcRoute> routes = health_.routes();
    routes.push_back({"/envoy.service.ext_proc.v3.ExternalProcessor/Process", &picker_});
    server_ = std::make_unique<GrpcServer>(
        *loop_, std::move(listen_tcp("127.0.0.1", 0, false).value()), routes);
    port_ = server_->port();
    thread_ = std::thread([this] { loop_->run(); });
  }
  ~RunningPicker() {
    loop_->post([this] { server_.reset(); });
    loop_->stop();
    thread_.join();
  }
  uint16_t port() const { return port_; }

 private:
  FaultyPicker picker_;
  GrpcHealthService health_{[this](std::string_view) {
    return picker_.healthy() ? GrpcHealth::kServing : GrpcHealth::kNotServing;
  }};
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<GrpcServer> server_;
  uint16_t port_ = 0;
  std::thread thread_;
};

// `patience`: what a fault of silence costs each check that meets it.
SuiteReport run(Fault fault, std::chrono::milliseconds patience,
                std::vector<std::string> endpoints = kPool) {
  RunningPicker picker(fault), empty(fault, {});
  SubjectOptions options;
  options.target = {"127.0.0.1", picker.port()};
  options.empty_target = HostPort{"127.0.0.1", empty.port()};
  options.timeout = patience;
  options.endpoints = std::move(endpoints);
  auto subject = Subject::create(options);
  EXPECT_TRUE(subject.ok());
  return run_suite(**subject, select_checks({}).value(), nullptr);
}

Ids ids_of(const SuiteReport& report, CheckVerdict verdict) {
  Ids ids;
  for (const CheckResult& result : report.results) {
    if (result.finding.verdict == verdict) ids.insert(result.check->id);
  }
  return ids;
}

std::string text_of(const SuiteReport& report) {
  std::string text;
  for (const CheckResult& result : report.results) {
    if (result.finding.verdict != CheckVerdict::kPass) text += table_line(result);
  }
  return text;
}

TEST(Conformance, APickerThatBehavesPassesEverything) {
  const SuiteReport report = run(Fault::kNone, std::chrono::seconds(20));
  EXPECT_EQ(ids_of(report, CheckVerdict::kPass).size(), all_checks().size()) << text_of(report);
  EXPECT_TRUE(report.conforms());
}

TEST(Conformance, ThePoolIsLearnedWhenItIsNotGiven) {
  const SuiteReport report = run(Fault::kNone, std::chrono::seconds(20), {});
  EXPECT_EQ(ids_of(report, CheckVerdict::kFail), Ids{}) << text_of(report);
  EXPECT_EQ(ids_of(report, CheckVerdict::kSkip), Ids{"pick.member"}) << text_of(report);
}

const Ids kResponses = {"response.headers",    "response.served",  "response.stream_pieces",
                        "response.stream_end", "response.empty_end", "response.whole",
                        "response.trailers",   "response.error_status"};

TEST(Conformance, ThePickerMayCloseTheStreamBehindItsDecision) {
  const SuiteReport report = run(Fault::kClosesAfterDecision, std::chrono::seconds(20));
  EXPECT_EQ(ids_of(report, CheckVerdict::kFail), Ids{}) << text_of(report);
  EXPECT_EQ(ids_of(report, CheckVerdict::kSkip), kResponses) << text_of(report);
  EXPECT_TRUE(report.conforms());
}

TEST(Conformance, WithoutAPickerOfAnEmptyPoolThatIsNotChecked) {
  RunningPicker picker(Fault::kNone);
  SubjectOptions options;
  options.target = {"127.0.0.1", picker.port()};
  auto subject = Subject::create(options);
  ASSERT_TRUE(subject.ok());
  const SuiteReport report =
      run_suite(**subject, select_checks({"refusal.nobody", "refusal.nobody_get"}).value(), nullptr);
  EXPECT_EQ(report.count(CheckVerdict::kSkip), 2u);
  EXPECT_THAT(text_of(report), HasSubstr("--empty-target"));
}

struct Planted {
  const char* name;
  Fault fault;
  Ids found_by;
  bool conforms = false;
  bool silent = false;  // the picker keeps a gateway waiting: found by a timeout
};

const Planted kPlanted[] = {
    {"nobody is a gRPC error",
     Fault::kNobodyIsGrpcError,
     {"refusal.nobody", "refusal.nobody_get"}},
    {"nobody, and a pick", Fault::kNobodyIsPicked, {"refusal.nobody", "refusal.nobody_get"}},
    {"ends with an error behind the decision",
     Fault::kClosesAfterDecisionBadly,
     {"response.headers", "response.served", "response.stream_pieces", "response.stream_end",
      "response.empty_end", "response.whole", "response.trailers", "response.error_status",
      "body.trailers"}},
    {"closes in the middle of the response",
     Fault::kClosesAfterResponseHeaders,
     {"response.stream_pieces", "response.stream_end", "response.empty_end", "response.whole",
      "response.trailers", "response.error_status"}},
    {"header missing", Fault::kHeaderMissing, {"pick.header"}},
    {"metadata missing", Fault::kMetadataMissing, {"pick.metadata"}},
    {"metadata elsewhere", Fault::kMetadataOtherNamespace, {"pick.metadata"}},
    {"metadata differs", Fault::kMetadataOtherValue, {"pick.agree"}},
    {"a host name",
     Fault::kHostName,
     {"pick.form", "pick.member", "subset.one", "subset.two", "subset.mixed", "subset.ip_only",
      "subset.unknown", "subset.empty"}},
    {"a foreign endpoint", Fault::kForeignEndpoint, {"pick.member"}},
    {"route cache kept", Fault::kRouteCacheKept, {"pick.clear_route_cache"}, true},
    {"client's destination", Fault::kClientDestinationPassedOn, {"headers.client_destination"}},
    {"pseudo-header changed", Fault::kPseudoHeaderChanged, {"headers.pseudo"}, true},
    {"body first", Fault::kBodyBeforeHeaders, {"order.headers_then_body"}},
    {"headers at once", Fault::kHeadersAtOnce, {"order.headers_deferred"}, true},
    {"body corrupted",
     Fault::kBodyCorrupted,
     {"body.identical", "body.large", "body.many_chunks", "body.ended_by_trailers",
      "stream.independent"}},
    {"a byte lost between pieces", Fault::kLargeBodyCorrupted, {"body.large"}},
    {"oversized pieces", Fault::kOversizedPieces, {"body.piece_size"}, true},
    {"end missing", Fault::kEndMissing, {"body.end_once"}},
    {"end twice", Fault::kEndTwice, {"body.end_once"}},
    {"content-length", Fault::kWrongContentLength, {"body.content_length"}},
    {"subset ignored",
     Fault::kSubsetIgnored,
     {"subset.one", "subset.two", "subset.mixed", "subset.ip_only", "subset.unknown",
      "subset.empty"}},
    {"empty subset is any", Fault::kEmptySubsetIsAny, {"subset.empty"}},
    {"subset needs port", Fault::kSubsetNeedsPort, {"subset.ip_only"}, true},
    {"503 as gRPC error", Fault::kRefusalIsGrpcError, {"refusal.nobody", "refusal.nobody_get", "subset.unknown", "subset.empty"}},
    {"503 as 200", Fault::kRefusalIs200, {"refusal.nobody", "refusal.nobody_get", "subset.unknown", "subset.empty"}},
    {"503 without reason", Fault::kReasonMissing, {"subset.reason"}, true},
    {"any body",
     Fault::kAnyBodyTaken,
     {"refusal.invalid_json", "refusal.not_an_object", "refusal.no_model"},
     true},
    {"model not needed", Fault::kModelNotNeeded, {"refusal.no_model"}, true},
    {"talks after refusal", Fault::kTalksAfterRefusal, {"refusal.final"}},
    {"no body, no answer", Fault::kBodylessUnanswered, {"body.none", "refusal.nobody_get"}, true, true},
    {"trailers do not end", Fault::kTrailersDoNotEnd, {"body.ended_by_trailers"}, true, true},
    {"response piece swallowed",
     Fault::kResponsePieceSwallowed,
     {"response.stream_pieces"},
     false,
     true},
    {"response end lost",
     Fault::kResponseEndLost,
     {"response.stream_end", "response.empty_end", "response.whole", "response.error_status"}},
    {"response changed",
     Fault::kResponseChanged,
     {"response.stream_pieces", "response.stream_end"}},
    {"response trailers", Fault::kResponseTrailersUnanswered, {"response.trailers"}},
    {"BUFFERED ignored",
     Fault::kBufferedIgnored,
     {"mode.buffered", "mode.streamed", "mode.headers_skipped"},
     true,
     true},
    {"headers required", Fault::kHeadersRequired, {"mode.headers_skipped"}, true},
    {"exchanges mixed",
     Fault::kExchangesMixed,
     {"stream.independent", "refusal.invalid_json", "refusal.not_an_object", "refusal.no_model"},
     false,
     true},
    {"garbage ends all", Fault::kGarbageEndsAll, {"stream.garbage"}},
    {"garbage ignored", Fault::kGarbageIgnored, {"stream.garbage"}, false, true},
    {"sick after garbage", Fault::kSickAfterGarbage, {"health.after_abuse"}},
    {"response headers late",
     Fault::kResponseHeadersLate,
     {"response.headers", "response.served", "response.stream_pieces", "response.stream_end",
      "response.empty_end", "response.whole", "response.trailers", "body.trailers"},
     false,
     true},
};

TEST(Conformance, EachPlantedFaultIsFoundByItsOwnChecks) {
  for (const Planted& planted : kPlanted) {
    const auto patience = std::chrono::milliseconds(planted.silent ? 1000 : 20'000);
    const SuiteReport report = run(planted.fault, patience);
    EXPECT_EQ(ids_of(report, CheckVerdict::kFail), planted.found_by) << planted.name << "\n"
                                                                     << text_of(report);
    EXPECT_EQ(report.conforms(), planted.conforms) << planted.name;
  }
}

TEST(Conformance, NoPickerAtAllFailsAndSaysSo) {
  uint16_t port = 0;
  { port = local_port(listen_tcp("127.0.0.1", 0, false).value()); }
  SubjectOptions options;
  options.target = {"127.0.0.1", port};
  auto subject = Subject::create(options);
  ASSERT_TRUE(subject.ok());
  const SuiteReport report =
      run_suite(**subject, select_checks({"transport", "pick.header"}).value(), nullptr);
  EXPECT_FALSE(report.conforms());
  EXPECT_EQ(report.count(CheckVerdict::kFail), 2u);
  EXPECT_THAT(report.results[0].finding.seen, HasSubstr("cannot connect"));
}

TEST(Conformance, ChecksAreChosenByIdAndByFirstWord) {
  EXPECT_EQ(select_checks({"subset.one"}).value().size(), 1u);
  EXPECT_GT(select_checks({"subset"}).value().size(), 5u);
  EXPECT_FALSE(select_checks({"subset.on"}).ok());
  Ids ids;
  for (const Check& check : all_checks()) ids.insert(check.id);
  EXPECT_EQ(ids.size(), all_checks().size()) << "two checks share an id";
}

TEST(Conformance, ReportsHoldVerdictAndReason) {
  SuiteReport report;
  const std::vector<const Check*> checks =
      select_checks({"pick.header", "pick.form", "pick.agree"}).value();
  report.results = {{checks[0], failed("a <header>", "none\n\"at all\"")},
                    {checks[1], passed()},
                    {checks[2], skipped("no pick")}};
  EXPECT_THAT(table_line(report.results[0]), HasSubstr("seen:     none\\n\"at all\""));
  EXPECT_THAT(closing_text(report), HasSubstr("MUST: 1 passed, 1 failed, 1 skipped"));
  EXPECT_THAT(closing_text(report), HasSubstr("Not seen from outside"));
  EXPECT_THAT(report_json(report), HasSubstr("\"seen\":\"none\\n\\\"at all\\\"\""));
  EXPECT_THAT(report_junit(report), HasSubstr("a &lt;header&gt;"));
  EXPECT_THAT(report_junit(report), HasSubstr("tests=\"3\" failures=\"1\" skipped=\"1\""));
}

}  // namespace
}  // namespace kvasir
