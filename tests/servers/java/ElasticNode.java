import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginBundle;
import org.elasticsearch.plugins.PluginsLoader;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;

/**
 * One real Elasticsearch node from the published jars: {@code ElasticNode HOME [NAME=VALUE ...]}, with settings.
 *
 * <p>Compiled once, against version 8.19; it runs with the jars of 9 too.
 */
public final class ElasticNode {
    private ElasticNode() {}

    public static void main(String[] args) throws Exception {
        Path home = Path.of(args[0]).toAbsolutePath();
        Settings.Builder settings = Settings.builder().put("path.home", home.toString());
        for (int i = 1; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        LogConfigurator.configureESLogging();
        Environment environment = InternalSettingsPreparer.prepareEnvironment(
            settings.build(), Map.of(), home.resolve("config"), () -> "test");
        PluginsLoader loader = PluginsLoader.createPluginsLoader(modules(environment.modulesDir()), Set.of(), Map.of(), false);
        Node node = new Node(environment, loader);
        ClusterService cluster = node.injector().getInstance(ClusterService.class);
        node.injector().getInstance(RestController.class).registerHandler(new Root(cluster));
        node.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
        new CountDownLatch(1).await();
    }

    /** The loader takes a path in version 8, and whether the node is stateless besides in version 9. */
    @SuppressWarnings("unchecked")
    private static Set<PluginBundle> modules(Path folder) throws ReflectiveOperationException {
        for (Method method : PluginsLoader.class.getMethods()) {
            if (method.getName().equals("loadModulesBundles")) {
                boolean old = method.getParameterCount() == 1;
                return (Set<PluginBundle>) (old ? method.invoke(null, folder) : method.invoke(null, folder, false));
            }
        }
        throw new NoSuchMethodException("PluginsLoader.loadModulesBundles");
    }

    private static void close(Node node) {
        try {
            node.prepareForClose();
            node.close();
            node.awaitClose(10, TimeUnit.SECONDS);
        } catch (IOException | InterruptedException error) {
            error.printStackTrace();
        }
    }

    /** Answers GET and HEAD of /, as a module of the distribution does that is not published. */
    private record Root(ClusterService cluster) implements RestHandler {
        @Override
        public List<Route> routes() {
            return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
        }

        @Override
        public void handleRequest(RestRequest request, RestChannel channel, NodeClient client) throws Exception {
            Build build = Build.current();
            var answer = channel.newBuilder().startObject()
                .field("name", cluster.getNodeName())
                .field("cluster_name", cluster.getClusterName().value())
                .field("cluster_uuid", cluster.state().metadata().clusterUUID())
                .startObject("version")
                .field("number", build.qualifiedVersion())
                .field("build_flavor", build.flavor())
                .field("build_hash", build.hash())
                .field("build_date", build.date())
                .field("build_snapshot", build.isSnapshot())
                .endObject()
                .field("tagline", "You Know, for Search")
                .endObject();
            channel.sendResponse(new RestResponse(RestStatus.OK, answer));
        }
    }
}
